//! Sizes, durations and ages as people read them.

use jiff::Timestamp;

/// Bytes with a binary unit, such as `1.5 MiB`.
pub(crate) fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if count < 1024 {
        return format!("{count} B");
    }
    #[allow(clippy::cast_precision_loss)] // One digit after the point is shown.
    let mut value = count as f64;
    let mut unit = "";
    for next in UNITS {
        if value < 1024.0 {
            break;
        }
        value /= 1024.0;
        unit = next;
    }
    format!("{value:.1} {unit}")
}

/// A duration in microseconds, such as `12.3 ms` or `2m 5s`.
pub(crate) fn duration(microseconds: u64) -> String {
    #[allow(clippy::cast_precision_loss)] // One or two digits after the point are shown.
    let milliseconds = microseconds as f64 / 1e3;
    let seconds = microseconds / 1_000_000;
    if milliseconds < 1000.0 {
        format!("{milliseconds:.1} ms")
    } else if seconds < 60 {
        format!("{:.2} s", milliseconds / 1e3)
    } else if seconds < 3600 {
        format!("{}m {}s", seconds / 60, seconds % 60)
    } else {
        format!("{}h {}m", seconds / 3600, seconds % 3600 / 60)
    }
}

/// How long ago, in the largest unit that fits.
pub(crate) fn age(then: Timestamp, now: Timestamp) -> String {
    let seconds = now.as_second().saturating_sub(then.as_second()).max(0);
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m", seconds / 60),
        3600..86_400 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// Microseconds between two points in time; 0 when they are the wrong way round.
pub(crate) fn between(from: Timestamp, to: Timestamp) -> u64 {
    u64::try_from(to.as_microsecond().saturating_sub(from.as_microsecond())).unwrap_or(0)
}

/// Thousandths of a core as cores.
pub(crate) fn cores(millicores: u64) -> String {
    if millicores.is_multiple_of(1000) {
        return (millicores / 1000).to_string();
    }
    format!("{}.{:03}", millicores / 1000, millicores % 1000)
        .trim_end_matches('0')
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::{bytes, cores, duration};

    #[test]
    fn numbers_are_shown_the_way_people_say_them() {
        assert_eq!(bytes(0), "0 B");
        assert_eq!(bytes(1023), "1023 B");
        assert_eq!(bytes(1536), "1.5 KiB");
        assert_eq!(bytes(300 << 20), "300.0 MiB");
        assert_eq!(duration(1_230), "1.2 ms");
        assert_eq!(duration(2_345_000), "2.35 s");
        assert_eq!(duration(125_000_000), "2m 5s");
        assert_eq!(duration(7_260_000_000), "2h 1m");
        assert_eq!(cores(250), "0.25");
        assert_eq!(cores(4000), "4");
    }
}
