//! Entries from a seed: what could be typed into the form, in many scripts, put together without
//! sense, and now and then against a rule.

use chrono::{DateTime, FixedOffset, SecondsFormat};

use super::changelogs::Entry;
use crate::bed::seeded::Seeded;

/// What messages and names are made of: scripts, marks that combine, direction, what looks like the
/// languages that a text passes through on its way.
const PIECES: &[&str] = &[
    "The engine has stopped",
    "Über 12,50 € fehlt die Quittung",
    "Ελέγξτε τον λογαριασμό μου",
    "Счёт оплачен дважды",
    "请检查我的账户",
    "アカウントが開きません",
    "계정이 열리지 않습니다",
    "لا أستطيع الدخول",
    "החשבון שלי נעול",
    "मेरा खाता नहीं खुलता",
    "👩‍🚀 🏳️‍🌈 👍🏽",
    "e\u{301}\u{323} \u{e9} ﬁ Å \u{212b}",
    "\u{200f}x\u{200e} \u{2066}y\u{2069} a\u{202e}gpj.exe",
    "\u{feff}\u{fffd}\u{e000}\u{10ffff}\u{2028}\u{2029}\u{200b}",
    "'; DROP TABLE tickets; --",
    "<b>&amp;</b> <!-- ]]> {{7*7}} ${HOME} $(id) `id`",
    "\"\\\"\\u0000\\\\\" \\ud800 C:\\new\\table",
    "%00 %s %n %F0%28 0x00 NULL null NaN -0",
    "=1+1,\"a\";b|c",
    "SUP-2026-000001 01a202c3-c662-7aeb-85b5-ac7a63952b19",
];
const JOINTS: &[&str] = &[" ", " ", ", ", "\n", "\r\n", "\n\n\t", "  ", ""];
const ADDRESSES: &[&str] =
    &["example.org", "mail.example.com", "xn--bcher-kva.example", "a-b.example"];
const NO_ADDRESSES: &[&str] = &["", "nobody", "a@localhost", "a b@example.org", "a..b@example.org"];
const NO_TIMES: &[&str] =
    &["", "yesterday", "Sun, 22 Nov 2026 10:30:00 GMT", "2026-02-30T12:00:00Z"];

/// So many entries of one seed, no two with the same address.
pub fn entries(seed: u64, count: usize) -> Vec<Entry> {
    let mut seeded = Seeded::new(seed);
    (0..count).map(|number| entry(&mut seeded, number)).collect()
}

fn entry(seeded: &mut Seeded, number: usize) -> Entry {
    let local = seeded.pick(&["ada", "o'hara", "a.b+c", "x_y-z", "#!$%&*/=?^`{|}~"]);
    let domain = seeded.pick(ADDRESSES);
    let mut entry = Entry {
        name: text(seeded, 100, 4).replace(['\r', '\n', '\t', '\u{2028}', '\u{2029}'], " "),
        email: format!("{local}{number}@{domain}"),
        message: text(seeded, 10_000, 60),
        timestamp: timestamp(seeded),
    };
    if seeded.chance(5) {
        let character = seeded.pick(&['\u{0}', '\u{7}', '\u{1b}', '\u{7f}']);
        match seeded.below(6) {
            0 => entry.message.push_str(&"x".repeat(10_001)),
            1 => "\n \u{3000}\t".clone_into(&mut entry.message),
            2 => entry.message.insert(0, character),
            3 => entry.name = "é".repeat(101),
            4 => seeded.pick(NO_ADDRESSES).clone_into(&mut entry.email),
            _ => seeded.pick(NO_TIMES).clone_into(&mut entry.timestamp),
        }
    }
    entry
}

/// Up to so many pieces, with white space around them at times; now and then as long as may be.
fn text(seeded: &mut Seeded, characters_max: usize, pieces_max: u64) -> String {
    let pieces = if seeded.chance(2) { 2_000 } else { seeded.within(1..=pieces_max) };
    let mut text = String::new();
    for _ in 0..pieces {
        text.push_str(seeded.pick(PIECES));
        text.push_str(seeded.pick(JOINTS));
    }
    text.chars().take(characters_max).collect()
}

/// Some second of four centuries, in some zone, with or without its fraction.
fn timestamp(seeded: &mut Seeded) -> String {
    let seconds = i64::try_from(seeded.within(0..=12_000_000_000)).expect("below i64");
    let at = DateTime::from_timestamp(seconds, 123_456_789).expect("a time");
    let quarters = i32::try_from(seeded.within(0..=96)).expect("below i32") - 48;
    let zone = FixedOffset::east_opt(quarters * 900).expect("a zone");
    let format = seeded.pick(&[SecondsFormat::Secs, SecondsFormat::Millis, SecondsFormat::Nanos]);
    at.with_timezone(&zone).to_rfc3339_opts(format, seeded.chance(50))
}
