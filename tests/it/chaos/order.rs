//! What is submitted, and how: the n-th submission of a seed, the same each time.

use std::ops::RangeInclusive;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::manners::Manner;
use crate::bed::seeded::Seeded;

/// The part of what a seed decides; see [`super::plan`].
const ORDERS: u64 = 2;

/// Characters that forms are made of, some of each script and those that break things.
static ALPHABETS: [RangeInclusive<char>; 14] = [
    ' '..='~',
    ' '..='~',
    ' '..='~',
    'À'..='ɏ',
    'Α'..='ω',
    'А'..='я',
    'א'..='ת',
    'ا'..='ي',
    'अ'..='ह',
    '一'..='龥',
    '가'..='힣',
    '\u{300}'..='\u{36f}',   // Marks that combine with what is before them.
    '\u{200b}'..='\u{202e}', // Joiners, marks of direction, separators of lines.
    '🌀'..='🙏',
];

/// A form as it is sent and as it must be stored. No two have the same address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Form {
    /// Says which form it is, so that a ticket can be told whose it is whatever else became of it.
    pub email: String,
    /// The submitter's name.
    pub name: String,
    /// What it is about.
    pub subject: String,
    /// What was written.
    pub message: String,
    /// The client's own time.
    pub timestamp: String,
    /// Who is logged in.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub user_id: Option<String>,
    /// Which browser.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub user_agent: Option<String>,
    /// On which page.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub url: Option<String>,
}

/// A form and how its sender goes about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// What is sent.
    pub form: Form,
    /// The `Idempotency-Key`. With one the sender asks again until there is a yes; without one,
    /// once.
    pub key: Option<String>,
    /// How many times it is sent at once (more than once with a key only).
    pub copies: usize,
    /// Whether the sender does not wait for the number.
    pub is_hasty: bool,
    /// When the sender hangs up on the first try.
    pub hangs_up_after: Option<Duration>,
    /// How the first try is sent.
    pub manner: Manner,
}

impl Order {
    /// The n-th of a seed.
    pub fn of(seed: u64, number: u64) -> Self {
        let random = &mut Seeded::for_part(seed, ORDERS.wrapping_add(number << 8));
        let key = random.chance(50).then(|| format!("seed-{seed}-order-{number}"));
        let copies = if key.is_some() && random.chance(10) { random.below(3) + 2 } else { 1 };
        let is_hasty = random.chance(20);
        let hangs_up_after = random.chance(5).then(|| random.millis(0..=40));
        let form = Form::of(random, seed, number);
        let manner = any_manner(random);
        Self { form, key, copies, is_hasty, hangs_up_after, manner }
    }
}

fn any_manner(random: &mut Seeded) -> Manner {
    match random.below(100) {
        0..=2 => Manner::InPart(random.within(0..=1_000)),
        3..=4 => Manner::Slow(random.millis(50..=1_500)),
        _ => Manner::Plain,
    }
}

impl Form {
    fn of(random: &mut Seeded, seed: u64, number: u64) -> Self {
        let subjects = ["technical", "billing", "feature", "account", "general"];
        let (min, max) =
            random.weighted(&[(85, (10, 200)), (12, (200, 2_000)), (3, (2_000, 10_000))]);
        let length = random.within(min..=max);
        Self {
            email: format!("s{seed}.n{number}@example.org"),
            name: text(random, 100, false),
            subject: random.pick(&subjects).to_owned(),
            message: text(random, length, true),
            timestamp: format!("2026-11-22T10:30:00.{:03}+01:00", number % 1_000),
            user_id: random.chance(50).then(|| text(random, 128, false)),
            user_agent: random.chance(50).then(|| text(random, 300, false)),
            url: random.chance(50).then(|| format!("https://example.org/?form={number}#{seed}")),
        }
    }
}

/// Text of at most so many characters, between two that are visible: white space at the ends is
/// not kept, and the edge refuses what shows nothing.
fn text(random: &mut Seeded, length_max: u64, has_lines: bool) -> String {
    let length = if has_lines { length_max } else { random.within(2..=length_max) };
    let mut text = String::from("«");
    let mut alphabet = &ALPHABETS[0];
    for place in 2..length {
        if place % 16 == 2 {
            alphabet = &ALPHABETS[random.below(ALPHABETS.len())];
        }
        text.push(match random.below(40) {
            0 if has_lines => random.pick(&['\n', '\t', '\r']),
            1..=5 => ' ',
            _ => any_of(random, alphabet),
        });
    }
    text.push('»');
    text
}

fn any_of(random: &mut Seeded, alphabet: &RangeInclusive<char>) -> char {
    let (first, last) = (u64::from(*alphabet.start()), u64::from(*alphabet.end()));
    let code = u32::try_from(random.within(first..=last)).expect("a character's number");
    char::from_u32(code).expect("no alphabet has a surrogate in it")
}
