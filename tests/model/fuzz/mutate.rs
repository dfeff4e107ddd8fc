//! Mutations of inputs.

use kit::Random;

/// One of the inputs with a few edits.
pub fn mutated(inputs: &[Vec<u8>], words: &[&[u8]], random: &mut Random) -> Vec<u8> {
    let mut input = inputs[random.below(inputs.len())].clone();
    for _ in 0..random.within(1, 6) {
        edit(&mut input, inputs, words, random);
    }
    input.truncate(1 << 16);
    input
}

fn edit(input: &mut Vec<u8>, inputs: &[Vec<u8>], words: &[&[u8]], random: &mut Random) {
    let (one, other) = (random.below(input.len() + 1), random.below(input.len() + 1));
    let (from, to) = (one.min(other), one.max(other).min(one.min(other) + 60));
    match random.below(8) {
        0 if one < input.len() => input[one] ^= 1 << random.below(8),
        1 if one < input.len() => input[one] = random.number() as u8,
        2 => input.insert(one, random.number() as u8),
        3 => drop(input.drain(from..to)),
        4 => {
            let word = random.pick(words);
            drop(input.splice(one..one, word.iter().copied()));
        }
        5 => {
            let word = random.pick(words);
            let end = input.len().min(one + word.len());
            drop(input.splice(one..end, word.iter().copied()));
        }
        6 => {
            let copied = input[from..to].to_vec();
            drop(input.splice(other..other, copied));
        }
        _ => {
            let another = &inputs[random.below(inputs.len())];
            input.truncate(one);
            input.extend_from_slice(&another[random.below(another.len() + 1)..]);
        }
    }
}
