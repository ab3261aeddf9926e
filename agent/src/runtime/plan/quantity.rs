//! Kubernetes quantities of a service that the gateway has already checked.

/// Thousandths of a core, rounded up.
pub(super) fn millicores(text: &str) -> Option<u64> {
    let milli = match text.strip_suffix('m') {
        Some(number) => scaled(number, 1),
        None => scaled(text, 1000),
    };
    milli.filter(|milli| *milli > 0)
}

/// Bytes, rounded up.
pub(super) fn bytes(text: &str) -> Option<u64> {
    const UNITS: [(&str, u64); 12] = [
        ("Ki", 1 << 10),
        ("Mi", 1 << 20),
        ("Gi", 1 << 30),
        ("Ti", 1 << 40),
        ("Pi", 1 << 50),
        ("k", 1_000),
        ("K", 1_000),
        ("M", 1_000_000),
        ("G", 1_000_000_000),
        ("T", 1_000_000_000_000),
        ("P", 1_000_000_000_000_000),
        ("", 1),
    ];
    let (number, unit) = UNITS.iter().find_map(|(name, unit)| Some((text.strip_suffix(name)?, *unit)))?;
    scaled(number, unit).filter(|bytes| *bytes > 0)
}

/// A decimal number times `unit`, rounded up, in whole numbers throughout.
fn scaled(number: &str, unit: u64) -> Option<u64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits = format!("{whole}{fraction}");
    if digits.is_empty() || digits.len() > 20 || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let scale = 10_u128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let value = digits.parse::<u128>().ok()?.checked_mul(u128::from(unit))?.div_ceil(scale);
    u64::try_from(value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_read_as_kubernetes_reads_them() {
        assert_eq!([millicores("0.5"), millicores("250m"), millicores("2")], [Some(500), Some(250), Some(2000)]);
        assert_eq!([millicores("0"), millicores("x"), millicores("")], [None, None, None]);
        assert_eq!(bytes("256Mi"), Some(268_435_456));
        assert_eq!(bytes("0.5Gi"), Some(536_870_912));
        assert_eq!(bytes("1G"), Some(1_000_000_000));
        assert_eq!(bytes("12345"), Some(12_345));
        assert_eq!([bytes("1Gib"), bytes("-1"), bytes("Mi"), bytes("0")], [None, None, None, None]);
    }
}
