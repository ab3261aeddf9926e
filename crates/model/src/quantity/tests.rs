//! Quantities against hand-made cases, and against slow but obvious arithmetic.

use proptest::prelude::*;

use super::{Cpu, Memory};

#[test]
fn memory_is_read_the_way_kubernetes_reads_it() {
    check("256Mi", Ok(268_435_456));
    check("1G", Ok(1_000_000_000));
    check("0.5Gi", Ok(536_870_912));
    check(".5Ki", Ok(512));
    check("1.Ki", Ok(1024));
    check("1e3", Ok(1000));
    check("1E3", Ok(1000));
    check("1E", Ok(1_000_000_000_000_000_000));
    check("12e-1", Ok(2));
    check("+5", Ok(5));
    check("-0", Ok(0));
    check(" 64Mi ", Ok(67_108_864));
    check("512m", Ok(1));
    check("1n", Ok(1));
    check("7Ei", Ok(8_070_450_532_247_928_832));
    check(
        "1Gib",
        Err(
            "\"Gib\" is no unit; use Ki, Mi, Gi, Ti (powers of 1024) or k, M, G, T (powers of 1000)",
        ),
    );
    check(
        "1GB",
        Err(
            "\"GB\" is no unit; use Ki, Mi, Gi, Ti (powers of 1024) or k, M, G, T (powers of 1000)",
        ),
    );
    check(
        "1 Gi",
        Err(
            "\" Gi\" is no unit; use Ki, Mi, Gi, Ti (powers of 1024) or k, M, G, T (powers of 1000)",
        ),
    );
    check(
        "",
        Err("a size is missing; expected a size, such as \"256Mi\" or \"1G\""),
    );
    check(
        "lots",
        Err("\"lots\" is no size; expected a size, such as \"256Mi\" or \"1G\""),
    );
    check(
        "1.2.3",
        Err("\"1.2.3\" is no size; expected a size, such as \"256Mi\" or \"1G\""),
    );
    check(
        "-1Gi",
        Err("\"-1Gi\" is negative; expected a size, such as \"256Mi\" or \"1G\""),
    );
    check(
        "8Ei",
        Err("\"8Ei\" is larger or more exact than can be counted"),
    );
    check(
        "1e999999999",
        Err("\"1e999999999\" is larger or more exact than can be counted"),
    );

    #[track_caller]
    fn check(text: &str, expected: Result<u64, &str>) {
        let got = text
            .parse::<Memory>()
            .map(Memory::bytes)
            .map_err(|error| error.to_string());
        assert_eq!(got, expected.map_err(str::to_owned), "for {text:?}");
    }
}

#[test]
fn cores_are_thousandths_rounded_up() {
    check("0.2", Ok(200));
    check("250m", Ok(250));
    check("1.0", Ok(1000));
    check("2", Ok(2000));
    check("0.1", Ok(100));
    check("0.0001", Ok(1));
    check("1500u", Ok(2));
    check("1k", Ok(1_000_000));
    check(
        "1,5",
        Err("\",5\" is no unit; use m for thousandths of a core, or none for cores"),
    );
    check(
        "half",
        Err("\"half\" is no number of cores; expected cores, such as \"0.5\" or \"500m\""),
    );

    #[track_caller]
    fn check(text: &str, expected: Result<u64, &str>) {
        let got = text
            .parse::<Cpu>()
            .map(Cpu::millicores)
            .map_err(|error| error.to_string());
        assert_eq!(got, expected.map_err(str::to_owned), "for {text:?}");
    }
}

proptest! {
    #[test]
    fn what_is_shown_reads_back(bytes in 0..=i64::MAX.unsigned_abs(), millicores in 0..=u64::from(u32::MAX)) {
        prop_assert_eq!(Memory::from_bytes(bytes).to_string().parse(), Ok(Memory::from_bytes(bytes)));
        prop_assert_eq!(Cpu::from_millicores(millicores).to_string().parse(), Ok(Cpu::from_millicores(millicores)));
    }

    #[test]
    fn fractions_are_exact(whole in 0..4096_u64, thousandths in 0..1000_u64) {
        let text = format!("{whole}.{thousandths:03}");
        prop_assert_eq!(text.parse(), Ok(Cpu::from_millicores(whole * 1000 + thousandths)));
        let bytes = ((whole * 1000 + thousandths) * 1024).div_ceil(1000);
        prop_assert_eq!(format!("{text}Ki").parse(), Ok(Memory::from_bytes(bytes)));
    }

    #[test]
    fn nothing_makes_it_panic(text in "\\PC{0,24}", number in "[-+.0-9eEmnuKMGTPi]{0,40}") {
        let _ = text.parse::<Memory>();
        let _ = number.parse::<Memory>();
        let _ = number.parse::<Cpu>();
    }
}
