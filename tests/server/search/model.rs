//! Random keys over random messages, compared with a naive evaluation.

use kit::Random;

use super::{found, mailbox};

const WORDS: [&str; 8] = ["apple", "banana", "cherry", "date", "elder", "fig", "grape", "hazel"];
const FLAGS: [(&str, &str); 5] = [
    ("\\Seen", "SEEN"),
    ("\\Flagged", "FLAGGED"),
    ("\\Answered", "ANSWERED"),
    ("\\Draft", "DRAFT"),
    ("Later", "KEYWORD later"),
];

struct Mail {
    number: u32,
    flags: Vec<usize>,
    /// Of January 2020.
    day: usize,
    sent: usize,
    subject: Vec<usize>,
    body: Vec<usize>,
    text: String,
}

fn words(random: &mut Random, most: usize) -> Vec<usize> {
    (0..random.below(most + 1)).map(|_| random.below(WORDS.len())).collect()
}

fn spell(words: &[usize]) -> String {
    words.iter().map(|&word| WORDS[word]).collect::<Vec<_>>().join(" ")
}

fn mail(random: &mut Random, number: u32) -> Mail {
    let (day, sent) = (random.within(1, 9), random.within(1, 9));
    let (subject, body) = (words(random, 2), words(random, 4));
    let most = if random.one_in(10) { 40_000 } else { 60 };
    let padding = "x".repeat(random.below(most));
    let text = format!(
        "Date: {sent} Jan 2020 10:00:00 +0000\r\nSubject: {}\r\n\r\n{}\r\n{padding}\r\n",
        spell(&subject),
        spell(&body),
    );
    let flags = (0..FLAGS.len()).filter(|_| random.one_in(3)).collect();
    Mail { number, flags, day, sent, subject, body, text }
}

type Fits = Box<dyn Fn(&Mail) -> bool>;

/// The text of a key, and its meaning.
fn key(random: &mut Random, depth: usize, count: u32) -> (String, Fits) {
    let kind = random.below(if depth == 0 { 9 } else { 13 });
    match kind {
        0 => {
            let flag = random.below(FLAGS.len());
            (FLAGS[flag].1.into(), Box::new(move |mail| mail.flags.contains(&flag)))
        }
        1 => {
            let flag = random.below(FLAGS.len());
            let key = format!("UN{}", FLAGS[flag].1);
            (key, Box::new(move |mail| !mail.flags.contains(&flag)))
        }
        2 => {
            let day = random.within(1, 9);
            (format!("SINCE {day}-Jan-2020"), Box::new(move |mail| mail.day >= day))
        }
        3 => {
            let day = random.within(1, 9);
            (format!("SENTBEFORE {day}-Jan-2020"), Box::new(move |mail| mail.sent < day))
        }
        4 => {
            let (one, other) = (random.within(1, count as usize), random.within(1, count as usize));
            let (first, last) = (one.min(other) as u32, one.max(other) as u32);
            let uid = if random.one_in(2) { "UID " } else { "" };
            let fits = move |mail: &Mail| (first..=last).contains(&mail.number);
            (format!("{uid}{one}:{other}"), Box::new(fits))
        }
        5 => {
            let size = random.below(300);
            (format!("LARGER {size}"), Box::new(move |mail| mail.text.len() > size))
        }
        6 => {
            let word = random.below(WORDS.len());
            let key = format!("SUBJECT {}", WORDS[word].to_uppercase());
            (key, Box::new(move |mail| mail.subject.contains(&word)))
        }
        7 => {
            let word = random.below(WORDS.len());
            (format!("BODY {}", WORDS[word]), Box::new(move |mail| mail.body.contains(&word)))
        }
        8 => {
            let word = random.below(WORDS.len());
            // One of the words is also the name of a field.
            let fits = move |mail: &Mail| {
                WORDS[word] == "date" || mail.body.contains(&word) || mail.subject.contains(&word)
            };
            (format!("TEXT {}", WORDS[word]), Box::new(fits))
        }
        9 | 10 => {
            let ((a, fits_a), (b, fits_b)) =
                (key(random, depth - 1, count), key(random, depth - 1, count));
            (format!("OR {a} {b}"), Box::new(move |mail| fits_a(mail) || fits_b(mail)))
        }
        11 => {
            let (text, fits) = key(random, depth - 1, count);
            (format!("NOT {text}"), Box::new(move |mail| !fits(mail)))
        }
        _ => {
            let keys: Vec<_> =
                (0..random.within(1, 3)).map(|_| key(random, depth - 1, count)).collect();
            let texts: Vec<_> = keys.iter().map(|(text, _)| text.as_str()).collect();
            let text = format!("({})", texts.join(" "));
            (text, Box::new(move |mail| keys.iter().all(|(_, fits)| fits(mail))))
        }
    }
}

#[test]
fn searches_find_what_the_model_finds() {
    let mut random = Random::seeded();
    let mails: Vec<_> = (1..=80).map(|number| mail(&mut random, number)).collect();
    let options: Vec<_> = mails
        .iter()
        .map(|mail| {
            let flags: Vec<_> = mail.flags.iter().map(|&flag| FLAGS[flag].0).collect();
            format!("({}) \" {}-Jan-2020 12:00:00 +0000\" ", flags.join(" "), mail.day)
        })
        .collect();
    let messages: Vec<_> =
        options.iter().zip(&mails).map(|(o, m)| (o.as_str(), m.text.as_bytes())).collect();
    let (_server, mut client) = mailbox(&messages);
    for _ in 0..600 {
        let (text, fits) = key(&mut random, 4, 80);
        let expected: Vec<_> =
            mails.iter().filter(|mail| fits(mail)).map(|mail| mail.number).collect();
        assert_eq!(found(&mut client, &text), expected, "{text}");
        let number = |n: Option<&u32>, word| n.map_or(String::new(), |n| format!(" {word} {n}"));
        let (min, max) = (number(expected.first(), "MIN"), number(expected.last(), "MAX"));
        let ends = super::line(&mut client, &format!("SEARCH RETURN (MIN MAX) {text}"));
        assert_eq!(ends, format!("* ESEARCH x{min}{max}"), "{text}");
        let max_alone = super::line(&mut client, &format!("SEARCH RETURN (MAX) {text}"));
        assert_eq!(max_alone, format!("* ESEARCH x{max}"), "{text}");
    }
}
