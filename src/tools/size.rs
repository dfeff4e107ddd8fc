//! Sizes for people.

/// A size in powers of 1,024, rounded: `64 KiB`, `1.5 GiB`.
#[must_use]
pub fn show_size(octets: u64) -> String {
    let units = [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")];
    let Some((shift, unit)) = units.into_iter().find(|&(shift, _)| octets >> shift > 0) else {
        return format!("{octets} B");
    };
    if octets.trailing_zeros() >= shift {
        return format!("{} {unit}", octets >> shift);
    }
    format!("{:.1} {unit}", octets as f64 / (1u64 << shift) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shown_with_their_unit() {
        let shown = [0, 1023, 65_536, 1_572_864, 256 << 20].map(show_size);
        assert_eq!(shown, ["0 B", "1023 B", "64 KiB", "1.5 MiB", "256 MiB"]);
    }
}
