//! Sizes as Docker writes and reads them.

use crate::{Error, Result};

const DECIMAL: [&str; 7] = ["B", "kB", "MB", "GB", "TB", "PB", "EB"];
const BINARY: [&str; 7] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];

/// `77.84MB`: steps of 1000, four significant digits. As `docker system df` and `docker history` print.
pub fn human(bytes: u64) -> String {
    human_with_precision(bytes, 4)
}

/// `77.8MB`: steps of 1000, so many significant digits. `docker images` and `docker ps` print three.
pub fn human_with_precision(bytes: u64, digits: usize) -> String {
    scaled(bytes, 1000.0, &DECIMAL, digits)
}

/// `74.23MiB`: steps of 1024, four significant digits. As `docker info` prints memory.
pub fn binary(bytes: u64) -> String {
    scaled(bytes, 1024.0, &BINARY, 4)
}

/// Reads a size in steps of 1000: `5`, `10k`, `1.5 GB`.
///
/// # Errors
/// [`Error::Size`] or [`Error::SizeSuffix`].
pub fn parse_human(text: &str) -> Result<u64> {
    parse(text, 1000.0)
}

/// Reads a size in steps of 1024, whatever the unit is called: `512m`, `10G`, `1.5GiB`. As Docker reads
/// sizes of storage and memory.
///
/// # Errors
/// [`Error::Size`] or [`Error::SizeSuffix`].
pub fn parse_binary(text: &str) -> Result<u64> {
    parse(text, 1024.0)
}

fn scaled(bytes: u64, step: f64, units: &[&str], digits: usize) -> String {
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= step && unit < units.len() - 1 {
        value /= step;
        unit += 1;
    }
    significant(value, digits.max(1)) + units[unit]
}

/// C's and Go's `%.<digits>g`, for numbers that are not negative. It is why Docker shows `1e+03kB` for
/// 999,999 bytes.
fn significant(value: f64, digits: usize) -> String {
    fn without_zeros(text: &str) -> &str {
        if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text }
    }
    let scientific = format!("{value:.*e}", digits - 1);
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    // No size is smaller than one byte, so the exponent is never negative.
    match exponent.parse::<usize>() {
        Ok(exponent) if exponent < digits => {
            without_zeros(&format!("{value:.*}", digits - 1 - exponent)).to_owned()
        }
        Ok(exponent) => format!("{}e+{exponent:02}", without_zeros(mantissa)),
        Err(_) => scientific.clone(),
    }
}

fn parse(text: &str, step: f64) -> Result<u64> {
    let invalid = || Error::Size(text.to_owned());
    let end = text.rfind(|c: char| c.is_ascii_digit() || matches!(c, '.' | ' ')).ok_or_else(invalid)?;
    // One space may stand between number and unit.
    let (number, unit) = text.split_at(end + 1);
    let number: f64 = number.strip_suffix(' ').unwrap_or(number).parse().map_err(|_| invalid())?;
    let unit = unit.to_lowercase();
    let scale = match unit.as_str() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 1,
        "m" | "mb" | "mib" => 2,
        "g" | "gb" | "gib" => 3,
        "t" | "tb" | "tib" => 4,
        "p" | "pb" | "pib" => 5,
        _ => return Err(Error::SizeSuffix(unit)),
    };
    let bytes = number * step.powi(scale);
    // Docker counts in signed 64 bits.
    if (0.0..9_223_372_036_854_775_808.0).contains(&bytes) { Ok(bytes as u64) } else { Err(invalid()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn sizes_for_people() {
        for (bytes, four, three) in [
            (0, "0B", "0B"),
            (1, "1B", "1B"),
            (999, "999B", "999B"),
            (1000, "1kB", "1kB"),
            (1024, "1.024kB", "1.02kB"),
            (999_999, "1000kB", "1e+03kB"),
            (1_000_000, "1MB", "1MB"),
            (1_982_408, "1.982MB", "1.98MB"),
            (77_837_619, "77.84MB", "77.8MB"),
            (123_456_789, "123.5MB", "123MB"),
            (3_000_000_000, "3GB", "3GB"),
            (u64::MAX, "18.45EB", "18.4EB"),
        ] {
            assert_eq!(human(bytes), four);
            assert_eq!(human_with_precision(bytes, 3), three);
        }
        for (bytes, text) in [
            (0, "0B"),
            (1024, "1KiB"),
            (1000, "1000B"),
            (1023 * 1024, "1023KiB"),
            (8_266_117_120, "7.698GiB"),
        ] {
            assert_eq!(binary(bytes), text);
        }
    }

    #[test]
    fn sizes_from_people() {
        for (text, decimal, binary) in [
            ("0", 0, 0),
            ("32", 32, 32),
            ("32b", 32, 32),
            ("32B", 32, 32),
            ("10G", 10_000_000_000, 10 << 30),
            ("512m", 512_000_000, 512 << 20),
            ("1.5 kB", 1500, 1536),
            ("1.5KiB", 1500, 1536),
            ("32.5 ", 32, 32),
            ("2tb", 2_000_000_000_000, 2 << 40),
            ("1p", 1_000_000_000_000_000, 1 << 50),
            (".5k", 500, 512),
        ] {
            assert_eq!(parse_human(text), Ok(decimal), "{text:?}");
            assert_eq!(parse_binary(text), Ok(binary), "{text:?}");
        }
        for (text, message) in [
            ("", "invalid size: ''"),
            ("hello", "invalid size: 'hello'"),
            ("-32", "invalid size: '-32'"),
            (" 32 ", "invalid size: ' 32 '"),
            (" 32 mbytes", "invalid size: ' 32 mbytes'"),
            ("32  k", "invalid size: '32  k'"),
            ("1e9999", "invalid size: '1e9999'"),
            ("99999999p", "invalid size: '99999999p'"),
            ("32mbytes", "invalid suffix: 'mbytes'"),
            ("32kbx", "invalid suffix: 'kbx'"),
            ("32x", "invalid suffix: 'x'"),
            ("32bb", "invalid suffix: 'bb'"),
        ] {
            assert_eq!(parse_human(text).unwrap_err().to_string(), message);
        }
    }

    proptest! {
        #[test]
        fn a_printed_size_reads_back_nearly(bytes in 0u64..(1 << 50)) {
            let near = |read: u64| read.abs_diff(bytes) as f64 <= bytes as f64 * 0.001;
            prop_assert!(near(parse_human(&human(bytes)).unwrap()));
            prop_assert!(near(parse_binary(&binary(bytes)).unwrap()));
        }

        #[test]
        fn nothing_panics(text: String, bytes: u64, digits in 0usize..20) {
            let _ = parse_human(&text);
            let _ = human_with_precision(bytes, digits);
        }
    }
}
