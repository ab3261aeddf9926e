//! Kubernetes quantities, as Kubernetes reads them: `250m`, `0.5`, `512Mi`, `1G`, `1e3`.
//!
//! Integer arithmetic throughout: `0.1` of a core is 100 thousandths and nothing else. What does not come out
//! even is rounded up, so that a container never gets less than was asked for.

use std::fmt;
use std::str::FromStr;

/// CPU in thousandths of a core.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cpu(u64);

/// Memory, or any amount of bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Memory(u64);

/// Why a text is no quantity. The text of the error is for the user and names the value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QuantityError {
    /// Nothing but blanks.
    #[error("a {what} is missing; expected {expected}")]
    Missing {
        what: &'static str,
        expected: &'static str,
    },
    /// Does not begin with a decimal number.
    #[error("{text:?} is no {what}; expected {expected}")]
    NoNumber {
        text: String,
        what: &'static str,
        expected: &'static str,
    },
    /// A number and then something that Kubernetes does not know.
    #[error("{unit:?} is no unit; use {units}")]
    NoUnit { unit: String, units: &'static str },
    /// Below zero.
    #[error("{text:?} is negative; expected {expected}")]
    Negative {
        text: String,
        expected: &'static str,
    },
    /// Does not fit 64 bits, or has more digits than can be counted exactly.
    #[error("{text:?} is larger or more exact than can be counted")]
    TooLarge { text: String },
}

impl Cpu {
    /// From thousandths of a core.
    pub const fn from_millicores(millicores: u64) -> Self {
        Self(millicores)
    }

    /// Thousandths of a core.
    pub const fn millicores(self) -> u64 {
        self.0
    }
}

impl Memory {
    /// From bytes.
    pub const fn from_bytes(bytes: u64) -> Self {
        Self(bytes)
    }

    /// Bytes.
    pub const fn bytes(self) -> u64 {
        self.0
    }
}

impl FromStr for Cpu {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, QuantityError> {
        read(text, 1000, &CPU).map(Self)
    }
}

impl FromStr for Memory {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, QuantityError> {
        read(text, 1, &MEMORY).map(Self)
    }
}

impl fmt::Display for Cpu {
    /// Whole cores as `2`, everything else as `250m`.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_multiple_of(1000) {
            write!(out, "{}", self.0 / 1000)
        } else {
            write!(out, "{}m", self.0)
        }
    }
}

impl fmt::Display for Memory {
    /// The largest power of 1024 that divides it: `256Mi`, else bytes.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [
            ("Ei", 60),
            ("Pi", 50),
            ("Ti", 40),
            ("Gi", 30),
            ("Mi", 20),
            ("Ki", 10),
        ];
        match units
            .into_iter()
            .find(|(_, shift)| self.0 > 0 && self.0.is_multiple_of(1 << shift))
        {
            Some((unit, shift)) => write!(out, "{}{unit}", self.0 >> shift),
            None => write!(out, "{}", self.0),
        }
    }
}

/// Words for the errors of one kind of quantity.
struct Words {
    what: &'static str,
    expected: &'static str,
    units: &'static str,
}

const CPU: Words = Words {
    what: "number of cores",
    expected: "cores, such as \"0.5\" or \"500m\"",
    units: "m for thousandths of a core, or none for cores",
};

const MEMORY: Words = Words {
    what: "size",
    expected: "a size, such as \"256Mi\" or \"1G\"",
    units: "Ki, Mi, Gi, Ti (powers of 1024) or k, M, G, T (powers of 1000)",
};

/// A power of ten or of two that a unit stands for.
#[derive(Clone, Copy)]
enum Factor {
    Ten(i32),
    Two(u32),
}

/// Reads `text` as a multiple of `1 / scale`, rounded up.
fn read(text: &str, scale: u128, words: &Words) -> Result<u64, QuantityError> {
    let trimmed = text.trim();
    if trimmed.is_empty() {
        return Err(QuantityError::Missing {
            what: words.what,
            expected: words.expected,
        });
    }
    let no_number = || QuantityError::NoNumber {
        text: text.to_owned(),
        what: words.what,
        expected: words.expected,
    };
    let too_large = || QuantityError::TooLarge {
        text: text.to_owned(),
    };
    let (negative, unsigned) = match trimmed.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, trimmed.strip_prefix('+').unwrap_or(trimmed)),
    };
    let end = unsigned
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(unsigned.len());
    let (number, unit) = unsigned.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.len() + fraction.len() == 0 || fraction.contains('.') {
        return Err(no_number());
    }
    let factor = factor(unit).ok_or_else(|| QuantityError::NoUnit {
        unit: unit.to_owned(),
        units: words.units,
    })?;
    let fraction = fraction.trim_end_matches('0');
    let digits = format!("{whole}{fraction}");
    let digits = digits.trim_start_matches('0');
    if digits.is_empty() {
        return Ok(0);
    }
    if negative {
        return Err(QuantityError::Negative {
            text: text.to_owned(),
            expected: words.expected,
        });
    }
    let mantissa: u128 = digits.parse().map_err(|_| too_large())?;
    let places = i32::try_from(fraction.len()).map_err(|_| too_large())?;
    let (binary, exponent) = match factor {
        Factor::Two(shift) => (1_u128 << shift, -places),
        Factor::Ten(power) => (1, power - places),
    };
    let scaled = mantissa
        .checked_mul(binary)
        .and_then(|it| it.checked_mul(scale))
        .ok_or_else(too_large)?;
    let power = 10_u128.checked_pow(exponent.unsigned_abs());
    let value = match (exponent < 0, power) {
        (false, Some(power)) => scaled.checked_mul(power).ok_or_else(too_large)?,
        (false, None) => return Err(too_large()),
        (true, Some(power)) => scaled.div_ceil(power),
        // Something above zero, divided by more than 128 bits can hold.
        (true, None) => 1,
    };
    u64::try_from(value)
        .ok()
        .filter(|value| i64::try_from(*value).is_ok())
        .ok_or_else(too_large)
}

/// What a unit stands for. `E` alone is 10^18, `E` or `e` with digits an exponent.
fn factor(unit: &str) -> Option<Factor> {
    Some(match unit {
        "n" => Factor::Ten(-9),
        "u" => Factor::Ten(-6),
        "m" => Factor::Ten(-3),
        "" => Factor::Ten(0),
        "k" => Factor::Ten(3),
        "M" => Factor::Ten(6),
        "G" => Factor::Ten(9),
        "T" => Factor::Ten(12),
        "P" => Factor::Ten(15),
        "E" => Factor::Ten(18),
        "Ki" => Factor::Two(10),
        "Mi" => Factor::Two(20),
        "Gi" => Factor::Two(30),
        "Ti" => Factor::Two(40),
        "Pi" => Factor::Two(50),
        "Ei" => Factor::Two(60),
        _ => {
            let exponent: i32 = unit.strip_prefix(['e', 'E'])?.parse().ok()?;
            Factor::Ten(exponent.clamp(-1000, 1000))
        }
    })
}

#[cfg(test)]
#[allow(clippy::items_after_statements)] // Cases first, what checks them below.
mod tests;
