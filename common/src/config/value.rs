//! From text to values. Each function says by `None` that the text is not acceptable; what would
//! be is written in `defaults.toml`.

use std::{net::IpAddr, path::PathBuf, time::Duration};

use ipnet::{IpNet, Ipv4Net};
use secrecy::SecretString;
use url::Url;

use super::AddressHeader;
use crate::{domain::TimeSpan, ports::limits::Quota, telemetry::LogFormat};

/// What hides a secret where it would be shown.
pub(super) const HIDDEN: &str = "(secret)";

/// Longer than this, and a load balancer in front has long given up.
pub(super) const REPLY_WAIT_MAX: Duration = Duration::from_mins(1);
/// Tickets are kept for a day at the least.
const RETENTION_MIN: Duration = Duration::from_hours(24);
/// Whoever stops the process loses patience long before.
pub(super) const SHUTDOWN_GRACE_MAX: Duration = Duration::from_hours(1);

/// What is missing for longer is missing.
const WINDOW_MAX: Duration = Duration::from_hours(1);

/// A disk of an edge's holds no more.
const SIZE_BYTES_MAX: u64 = 1 << 40;

/// Who asks for more has a budget in mind and no rate.
const QUOTA_WINDOW_MAX: Duration = Duration::from_hours(24);

/// `500ms`, `2s`, `10m`, `24h`, `30d`: a whole number and a unit, at most `max`.
pub(super) fn duration(text: &str, max: Duration) -> Option<Duration> {
    let unit_at = text.find(|character: char| !character.is_ascii_digit())?;
    let (number, unit) = text.split_at(unit_at);
    let unit_ms: u64 = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60 * 1_000,
        "h" => 60 * 60 * 1_000,
        "d" => 24 * 60 * 60 * 1_000,
        _ => return None,
    };
    let total_ms = number.parse::<u64>().ok()?.checked_mul(unit_ms)?;
    Some(Duration::from_millis(total_ms)).filter(|duration| *duration <= max)
}

/// `3/10m`, `20/5m`: so many in a window of whole seconds, up to a day; or `off`.
#[expect(clippy::option_option, reason = "no value as everywhere here, or the value: no limit")]
pub(super) fn quota(text: &str) -> Option<Option<Quota>> {
    if text == "off" {
        return Some(None);
    }
    let (number, window) = text.split_once('/')?;
    // Each that counts is kept for the length of the window.
    let number = u32::try_from(count(number, 1, 10_000)?).ok()?;
    let window = duration(window, QUOTA_WINDOW_MAX)?;
    let is_whole = window.subsec_nanos() == 0 && !window.is_zero();
    is_whole.then_some(Some(Quota { count: number, window }))
}

/// A stretch of time of a day and more, or `off`: shorter ones are a slip of somebody's, and what it
/// erases nobody brings back.
#[expect(clippy::option_option, reason = "no value as everywhere here, or the value: no end")]
pub(super) fn retention(text: &str) -> Option<Option<Duration>> {
    if text == "off" {
        return Some(None);
    }
    let length = TimeSpan::parse(text).ok()?.length();
    (length >= RETENTION_MIN).then_some(Some(length))
}

/// Addresses and networks with commas between; IPv4 in IPv6 is IPv4.
pub(super) fn networks(text: &str) -> Option<Vec<IpNet>> {
    text.split(',').map(|entry| network(entry.trim())).collect()
}

fn network(text: &str) -> Option<IpNet> {
    let address = || text.parse::<IpAddr>().ok().map(IpNet::from);
    let network = text.parse().ok().or_else(address)?;
    match network {
        IpNet::V6(v6) => match (v6.addr().to_ipv4_mapped(), v6.prefix_len().checked_sub(96)) {
            (Some(address), Some(length)) => Some(Ipv4Net::new(address, length).ok()?.into()),
            (Some(_), None) => None,
            (None, _) => Some(network.trunc()),
        },
        IpNet::V4(_) => Some(network.trunc()),
    }
}

pub(super) fn address_header(text: &str) -> Option<AddressHeader> {
    [AddressHeader::XForwardedFor, AddressHeader::Forwarded]
        .into_iter()
        .find(|header| text.eq_ignore_ascii_case(header.as_str()))
}

/// Digits alone, within the range.
pub(super) fn count(text: &str, min: usize, max: usize) -> Option<usize> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|count| digits && (min..=max).contains(count))
}

/// A number of queues.
pub(super) fn intake_queues(text: &str) -> Option<u16> {
    count(text, 1, 16)?.try_into().ok()
}

/// A second to an hour.
pub(super) fn window(text: &str) -> Option<Duration> {
    duration(text, WINDOW_MAX).filter(|window| *window >= Duration::from_secs(1))
}

/// `64MiB`, `1GiB`: a whole number of them, in bytes.
pub(super) fn size(text: &str) -> Option<u64> {
    let unit_at = text.find(|character: char| !character.is_ascii_digit())?;
    let (number, unit) = text.split_at(unit_at);
    let unit_bytes: u64 = match unit {
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    let bytes = number.parse::<u64>().ok()?.checked_mul(unit_bytes)?;
    (1 << 20..=SIZE_BYTES_MAX).contains(&bytes).then_some(bytes)
}

pub(super) fn switch(text: &str) -> Option<bool> {
    text.parse().ok()
}

pub(super) fn path(text: &str) -> Option<PathBuf> {
    (!text.is_empty()).then(|| PathBuf::from(text))
}

pub(super) fn log_format(text: &str) -> Option<LogFormat> {
    match text {
        "json" => Some(LogFormat::Json),
        "pretty" => Some(LogFormat::Pretty),
        _ => None,
    }
}

/// A bearer token: long enough not to be guessed, and fit for a header.
pub(super) fn admin_token(text: &str) -> Option<SecretString> {
    let fit = (16..=512).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
    fit.then(|| SecretString::from(text))
}

/// A URL of one of the schemes that names a host.
pub(super) fn server_url(text: &str, schemes: &[&str]) -> Option<SecretString> {
    let url = Url::parse(text).ok()?;
    let fit = schemes.contains(&url.scheme()) && url.has_host();
    fit.then(|| SecretString::from(text))
}

/// The URL as it may be shown: nothing at all where it is unclear what in it is the password.
pub(super) fn masked_url(text: &str) -> String {
    let hidden = || HIDDEN.to_owned();
    let Ok(mut url) = Url::parse(text) else { return hidden() };
    // A second @ is an unescaped password that the parser took for a host and a path.
    let astray = [Some(url.path()), url.query(), url.fragment()];
    if !url.has_host() || astray.into_iter().flatten().any(|part| part.contains('@')) {
        return hidden();
    }
    if url.password().is_some() && url.set_password(Some("***")).is_err() {
        return hidden();
    }
    mask_query(&mut url);
    url.into()
}

/// Postgres takes `password` and `sslpassword` as parameters, too.
fn mask_query(url: &mut Url) {
    let is_secret = |name: &str| name.to_ascii_lowercase().contains("pass");
    if !url.query_pairs().any(|(name, _)| is_secret(&name)) {
        return;
    }
    let pairs: Vec<_> = url.query_pairs().into_owned().collect();
    let masked = pairs
        .iter()
        .map(|(name, value)| (name.as_str(), if is_secret(name) { "***" } else { value.as_str() }));
    url.query_pairs_mut().clear().extend_pairs(masked);
}

/// A value in quotes, on one line and of bearable length.
pub(crate) fn quoted(text: &str) -> String {
    const CHARACTERS_MAX: usize = 100;
    let mut shown: String = text.chars().take(CHARACTERS_MAX).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    format!("{shown:?}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_a_number_and_a_unit() {
        let day = Duration::from_hours(24);
        let read = |text| duration(text, day * 30);
        assert_eq!(read("250ms"), Some(Duration::from_millis(250)));
        assert_eq!(read("2s"), Some(Duration::from_secs(2)));
        assert_eq!(read("10m"), Some(Duration::from_mins(10)));
        assert_eq!(read("24h"), Some(day));
        assert_eq!(read("30d"), Some(day * 30));
        assert_eq!(read("0s"), Some(Duration::ZERO));
    }

    #[test]
    fn a_duration_without_a_unit_or_beyond_the_bound_is_refused() {
        let huge = format!("{}d", u64::MAX);
        for text in ["", "2", "s", "-1s", "+1s", "1.5s", "2 s", "2S", "61s", "2m", &huge] {
            assert_eq!(duration(text, Duration::from_mins(1)), None, "{text}");
        }
    }

    #[test]
    fn a_quota_is_a_number_and_a_window_or_off() {
        let of = |count, seconds| Some(Some(Quota { count, window: Duration::from_secs(seconds) }));
        assert_eq!(quota("3/10m"), of(3, 600));
        assert_eq!(quota("10000/24h"), of(10_000, 86_400));
        assert_eq!(quota("1/1000ms"), of(1, 1));
        assert_eq!(quota("off"), Some(None));
        for text in [
            "", "3", "3/", "/10m", "3/10", "3/0s", "3/1500ms", "3/25h", "0/10m", "10001/1m",
            "-3/1m", "3 /10m", "3/10m/s", "OFF", "0", "3.5/1m", "3/1.5m",
        ] {
            assert_eq!(quota(text), None, "{text}");
        }
    }

    #[test]
    fn networks_are_addresses_with_or_without_a_length() {
        let read = |text| {
            let networks = networks(text)?;
            Some(networks.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "))
        };
        let told = "10.0.0.0/8 192.0.2.7/32 fd00::/8 2001:db8::1/128 10.1.0.0/16";
        let text = "10.1.2.3/8, 192.0.2.7,fd00::/8 , 2001:db8::1, ::ffff:10.1.0.0/112";
        assert_eq!(read(text).as_deref(), Some(told));
        for text in [
            "",
            ",",
            "10.0.0.0/8,",
            "10.0.0.0/33",
            "::/129",
            "proxy",
            "10.0.0.0/8 ::1",
            "::ffff:0:0/90",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn a_count_is_digits_within_its_range() {
        assert_eq!([count("1", 1, 32), count("32", 1, 32)], [Some(1), Some(32)]);
        for text in ["0", "33", "", "+1", "-1", "1.0", "0x1", "many"] {
            assert_eq!(count(text, 1, 32), None, "{text}");
        }
    }

    #[test]
    fn a_size_is_a_whole_number_and_its_unit() {
        assert_eq!([size("1MiB"), size("1024GiB")], [Some(1 << 20), Some(1 << 40)]);
        for text in ["", "1", "0MiB", "1025GiB", "1.5GiB", "-1GiB", "1GB", "GiB", "1gib"] {
            assert_eq!(size(text), None, "{text}");
        }
        assert_eq!(size("18446744073709551615GiB"), None);
    }

    #[test]
    fn a_token_is_long_and_fit_for_a_header() {
        assert!(admin_token("0123456789abcdef").is_some());
        for text in ["", "0123456789abcde", "0123456789 abcdef", "0123456789abcdef\n", "ééééééééé"]
        {
            assert!(admin_token(text).is_none(), "{text}");
        }
        assert!(admin_token(&"x".repeat(513)).is_none());
    }

    #[test]
    fn a_server_url_has_its_scheme_and_a_host() {
        let schemes = ["postgres", "postgresql"];
        for text in ["postgres://h/db", "postgresql://u:p@[::1]:5432/db?sslmode=disable"] {
            assert!(server_url(text, &schemes).is_some(), "{text}");
        }
        for text in ["", "h/db", "mysql://h/db", "postgres:db", "postgres:///db", "postgres://u:p"]
        {
            assert!(server_url(text, &schemes).is_none(), "{text}");
        }
    }

    #[test]
    fn no_part_of_a_password_is_shown() {
        for text in [
            "postgres://u:hunter2@h/db",
            "postgres://h/db?password=hunter2&sslpassword=hunter2",
            "postgres://u:1/hunter2@h/db",
            "postgres://u:1?hunter2@h/db",
            "postgres://u:1#hunter2@h/db",
            "postgres://u:hun#hunter2@h/db",
            "redis://:hunter2@h:6379",
            "hunter2:hunter2",
            "hunter2",
        ] {
            assert!(!masked_url(text).contains("hunter2"), "{}", masked_url(text));
        }
        assert_eq!(masked_url("amqp://u:p@h:5672/%2f"), "amqp://u:***@h:5672/%2f");
    }

    #[test]
    fn a_quoted_value_stays_on_one_line() {
        assert_eq!(quoted("a\nb"), r#""a\nb""#);
        assert!(quoted(&"x".repeat(1_000)).len() < 120);
    }
}
