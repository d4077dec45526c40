//! Instants in time, and the one spelling that each has outside.
//!
//! [`Timestamp`] is a time that provex makes: UTC, cut to whole microseconds, because PostgreSQL keeps no finer
//! and a hash must match after reading back. [`StatedTime`] is a time that a document states: any RFC 3339
//! offset, kept to nanoseconds. Both read RFC 3339 section 5.6 and write it with `Z` and a fixed number of
//! digits, so that equal instants are equal bytes in a preimage.
//!
//! The calendar is the proleptic Gregorian one of the years 0001 to 9999. There are no leap seconds: neither
//! Unix time nor PostgreSQL can hold one, and CSAF refuses them (test 6.1.37). There is no clock here either.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

const SECONDS_PER_DAY: i64 = 86_400;
const MICROS_PER_SECOND: i64 = 1_000_000;
const NANOS_PER_MICRO: u32 = 1_000;

/// 0001-01-01T00:00:00Z in Unix seconds.
const FIRST_SECOND: i64 = -62_135_596_800;
/// 9999-12-31T23:59:59Z in Unix seconds.
const LAST_SECOND: i64 = 253_402_300_799;

/// Why a text or a number is not a time that provex can hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TimeError {
    /// Not of the form `2026-11-23T06:13:23Z` (RFC 3339 section 5.6).
    #[error("not an RFC 3339 date and time")]
    NotRfc3339,
    /// A date without a time of day.
    #[error("a date without a time")]
    DateOnly,
    /// A month or day that the calendar does not have.
    #[error("no such date in the calendar")]
    NoSuchDate,
    /// An hour above 23, a minute or second above 59.
    #[error("no such time of day")]
    NoSuchTime,
    /// Second 60: it has no place on the Unix time line.
    #[error("leap seconds are not supported")]
    LeapSecond,
    /// An offset above 23:59.
    #[error("no such offset from UTC")]
    NoSuchOffset,
    /// No `Z` and no offset, where one is required.
    #[error("no time zone")]
    NoZone,
    /// Outside the years 0001 to 9999 of UTC.
    #[error("outside the years 0001 to 9999")]
    OutOfRange,
    /// A time, but not in the one spelling that provex writes.
    #[error("not in the canonical spelling")]
    NotCanonical,
}

/// A time that provex makes: UTC, in whole microseconds since the Unix epoch, years 0001 to 9999.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The Unix epoch, 1970-01-01T00:00:00Z.
    pub const EPOCH: Self = Self(0);

    /// The instant this many microseconds after the Unix epoch.
    ///
    /// # Errors
    /// [`TimeError::OutOfRange`] outside the years 0001 to 9999.
    pub fn from_unix_micros(micros: i64) -> Result<Self, TimeError> {
        in_range(micros.div_euclid(MICROS_PER_SECOND)).map(|_| Self(micros))
    }

    /// The instant this many seconds after the Unix epoch.
    ///
    /// # Errors
    /// [`TimeError::OutOfRange`] outside the years 0001 to 9999.
    pub fn from_unix_seconds(seconds: i64) -> Result<Self, TimeError> {
        in_range(seconds).map(|seconds| Self(seconds * MICROS_PER_SECOND))
    }

    /// Microseconds since the Unix epoch.
    pub const fn as_unix_micros(self) -> i64 {
        self.0
    }

    /// Whole seconds since the Unix epoch, rounded down.
    pub const fn as_unix_seconds(self) -> i64 {
        self.0.div_euclid(MICROS_PER_SECOND)
    }

    /// Reads RFC 3339 with any offset; digits finer than a microsecond are cut off.
    ///
    /// # Errors
    /// [`TimeError`], among them [`TimeError::NoZone`] for a time without an offset.
    pub fn parse(text: &str) -> Result<Self, TimeError> {
        match StatedTime::parse(text)? {
            (time, Zone::Stated) => Ok(time.to_timestamp()),
            (_, Zone::AssumedUtc) => Err(TimeError::NoZone),
        }
    }

    /// RFC 3339 with `Z` and exactly six digits: `2026-11-23T06:13:23.000000Z`.
    pub fn to_rfc3339(self) -> String {
        self.to_string()
    }

    /// The instant `micros` later, or earlier if negative.
    ///
    /// # Errors
    /// [`TimeError::OutOfRange`] outside the years 0001 to 9999.
    pub fn plus_micros(self, micros: i64) -> Result<Self, TimeError> {
        self.0.checked_add(micros).ok_or(TimeError::OutOfRange).and_then(Self::from_unix_micros)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_seconds(f, self.as_unix_seconds())?;
        write!(f, ".{:06}Z", self.0.rem_euclid(MICROS_PER_SECOND))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Reads only the spelling that is written, so that one instant has one text in signed and hashed JSON.
impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        let time = Self::parse(&text).map_err(de::Error::custom)?;
        if time.to_rfc3339() == text { Ok(time) } else { Err(de::Error::custom(TimeError::NotCanonical)) }
    }
}

/// Whether a document said which zone its time is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Zone {
    /// It did: `Z` or an offset.
    Stated,
    /// It did not, and the time was read as UTC: the finding `assumed_utc`.
    AssumedUtc,
}

/// A time that a document states: UTC, in nanoseconds, years 0001 to 9999. Ordered by instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StatedTime {
    seconds: i64,
    nanos: u32,
}

impl StatedTime {
    /// Reads RFC 3339 with any offset or, as documents of lib4vex do, without one.
    ///
    /// Date and time may be parted by `T`, `t` or a space (RFC 3339 section 5.6, note), and `z` stands for `Z`.
    /// Digits finer than a nanosecond are cut off. Nothing else of ISO 8601 is taken: no date alone, no comma,
    /// no offset without a colon, no hour 24, no second 60.
    ///
    /// # Errors
    /// [`TimeError`], of which neither [`TimeError::NoZone`] nor [`TimeError::NotCanonical`] occurs.
    pub fn parse(text: &str) -> Result<(Self, Zone), TimeError> {
        let mut reader = Reader(text.as_bytes());
        let days = reader.date()?;
        let second_of_day = reader.time_of_day()?;
        let nanos = reader.fraction()?;
        let (offset, zone) = reader.offset()?;
        let seconds = in_range(days * SECONDS_PER_DAY + second_of_day - offset)?;
        Ok((Self { seconds, nanos }, zone))
    }

    /// Whole seconds since the Unix epoch, rounded down.
    pub const fn as_unix_seconds(self) -> i64 {
        self.seconds
    }

    /// Nanoseconds after [`StatedTime::as_unix_seconds`]: 0 to 999,999,999.
    pub const fn subsecond_nanos(self) -> u32 {
        self.nanos
    }

    /// The same instant cut to whole microseconds.
    pub fn to_timestamp(self) -> Timestamp {
        Timestamp(self.seconds * MICROS_PER_SECOND + i64::from(self.nanos / NANOS_PER_MICRO))
    }

    /// RFC 3339 with `Z` and exactly nine digits: `2026-11-23T06:13:23.000000000Z`.
    pub fn to_rfc3339(self) -> String {
        self.to_string()
    }
}

impl From<Timestamp> for StatedTime {
    fn from(time: Timestamp) -> Self {
        let micros = time.0.rem_euclid(MICROS_PER_SECOND) as u32;
        Self { seconds: time.as_unix_seconds(), nanos: micros * NANOS_PER_MICRO }
    }
}

impl fmt::Display for StatedTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_seconds(f, self.seconds)?;
        write!(f, ".{:09}Z", self.nanos)
    }
}

impl Serialize for StatedTime {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Reads only the spelling that is written; what documents write goes through [`StatedTime::parse`].
impl<'de> Deserialize<'de> for StatedTime {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        let (time, _) = Self::parse(&text).map_err(de::Error::custom)?;
        if time.to_rfc3339() == text { Ok(time) } else { Err(de::Error::custom(TimeError::NotCanonical)) }
    }
}

/// The bytes of a time that are still to be read.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    /// `full-date`: days since the Unix epoch.
    fn date(&mut self) -> Result<i64, TimeError> {
        let year = self.number(4)?;
        self.expect(b"-")?;
        let month = self.number(2)?;
        self.expect(b"-")?;
        let day = self.number(2)?;
        if !(1..=12).contains(&month) || !(1..=days_in_month(year, month)).contains(&day) {
            return Err(TimeError::NoSuchDate);
        }
        Ok(days_from_civil(year, month, day))
    }

    /// The separator and `partial-time` up to the seconds: seconds since midnight.
    fn time_of_day(&mut self) -> Result<i64, TimeError> {
        if self.0.is_empty() {
            return Err(TimeError::DateOnly);
        }
        self.expect(b"Tt ")?;
        let hour = self.number(2)?;
        self.expect(b":")?;
        let minute = self.number(2)?;
        self.expect(b":")?;
        let second = self.number(2)?;
        match (hour, minute, second) {
            (0..=23, 0..=59, 0..=59) => Ok(hour * 3_600 + minute * 60 + second),
            (0..=23, 0..=59, 60) => Err(TimeError::LeapSecond),
            _ => Err(TimeError::NoSuchTime),
        }
    }

    /// `time-secfrac`, if there is one, in nanoseconds.
    fn fraction(&mut self) -> Result<u32, TimeError> {
        let Some((b'.', digits)) = self.0.split_first() else { return Ok(0) };
        let count = digits.iter().take_while(|b| b.is_ascii_digit()).count();
        if count == 0 {
            return Err(TimeError::NotRfc3339);
        }
        let (digits, rest) = digits.split_at(count);
        self.0 = rest;
        let padded = digits.iter().chain(std::iter::repeat(&b'0')).take(9);
        Ok(padded.fold(0, |nanos, digit| nanos * 10 + u32::from(digit - b'0')))
    }

    /// `time-offset` to the end of the text: seconds east of UTC.
    ///
    /// `-00:00` says that the local offset is unknown but the time is UTC (RFC 3339 section 4.3): it is stated.
    fn offset(&mut self) -> Result<(i64, Zone), TimeError> {
        let sign = match self.0 {
            [] => return Ok((0, Zone::AssumedUtc)),
            b"Z" | b"z" => return Ok((0, Zone::Stated)),
            [b'-', ..] => -1,
            _ => 1,
        };
        self.expect(b"+-")?;
        let hours = self.number(2)?;
        self.expect(b":")?;
        let minutes = self.number(2)?;
        match (self.0, hours, minutes) {
            ([], 0..=23, 0..=59) => Ok((sign * (hours * 3_600 + minutes * 60), Zone::Stated)),
            ([], ..) => Err(TimeError::NoSuchOffset),
            _ => Err(TimeError::NotRfc3339),
        }
    }

    fn number(&mut self, digits: usize) -> Result<i64, TimeError> {
        let (digits, rest) = self.0.split_at_checked(digits).ok_or(TimeError::NotRfc3339)?;
        self.0 = rest;
        digits.iter().try_fold(0, |value, digit| match digit {
            b'0'..=b'9' => Ok(value * 10 + i64::from(digit - b'0')),
            _ => Err(TimeError::NotRfc3339),
        })
    }

    fn expect(&mut self, any_of: &[u8]) -> Result<(), TimeError> {
        match self.0.split_first() {
            Some((byte, rest)) if any_of.contains(byte) => {
                self.0 = rest;
                Ok(())
            }
            _ => Err(TimeError::NotRfc3339),
        }
    }
}

fn in_range(seconds: i64) -> Result<i64, TimeError> {
    if (FIRST_SECOND..=LAST_SECOND).contains(&seconds) { Ok(seconds) } else { Err(TimeError::OutOfRange) }
}

/// Everything of RFC 3339 before the fraction.
fn write_seconds(f: &mut fmt::Formatter<'_>, seconds: i64) -> fmt::Result {
    let (year, month, day) = civil_from_days(seconds.div_euclid(SECONDS_PER_DAY));
    let second = seconds.rem_euclid(SECONDS_PER_DAY);
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days of an era of 400 Gregorian years, after which the calendar repeats.
const DAYS_PER_ERA: i64 = 146_097;
/// Days from 0000-03-01, where eras begin, to 1970-01-01.
const EPOCH_FROM_ERA_ZERO: i64 = 719_468;

/// Days since the Unix epoch.
///
/// The year is counted from March, so that the leap day is its last; in such a year, month `m` begins on day
/// `(153 m + 2) / 5`, since five months from March or August have 153 days.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * DAYS_PER_ERA + day_of_era - EPOCH_FROM_ERA_ZERO
}

/// Year, month and day; the inverse of [`days_from_civil`].
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + EPOCH_FROM_ERA_ZERO;
    let era = days.div_euclid(DAYS_PER_ERA);
    let day_of_era = days.rem_euclid(DAYS_PER_ERA);
    // Leap days that precede the day are taken out: one every 4 years, less one every 100, and the era's last.
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn stated(text: &str) -> (String, Zone) {
        let (time, zone) = StatedTime::parse(text).unwrap();
        (time.to_rfc3339(), zone)
    }

    #[test]
    fn civil_dates_match_a_naive_day_counter_from_year_1_to_9999() {
        let mut days = FIRST_SECOND / SECONDS_PER_DAY;
        for year in 1..=9_999 {
            for month in 1..=12 {
                for day in 1..=days_in_month(year, month) {
                    assert_eq!(days_from_civil(year, month, day), days);
                    assert_eq!(civil_from_days(days), (year, month, day));
                    days += 1;
                }
            }
        }
        assert_eq!(days, (LAST_SECOND + 1) / SECONDS_PER_DAY);
    }

    #[test]
    fn timestamp_writes_z_and_six_digits() {
        let time = Timestamp::from_unix_seconds(1_795_414_403).unwrap();
        assert_eq!(time.to_rfc3339(), "2026-11-23T06:13:23.000000Z");
        let earlier = Timestamp::from_unix_micros(-1).unwrap();
        assert_eq!(earlier.to_rfc3339(), "1969-12-31T23:59:59.999999Z");
        assert_eq!(earlier.as_unix_seconds(), -1);
    }

    #[test]
    fn timestamp_cuts_digits_finer_than_a_microsecond() {
        let time = Timestamp::parse("1969-12-31T23:59:59.9999999Z").unwrap();
        assert_eq!(time.as_unix_micros(), -1);
        assert_eq!(Timestamp::parse("2026-11-23T08:13:23+02:00").unwrap().as_unix_seconds(), 1_795_414_403);
    }

    #[test]
    fn timestamp_without_a_zone_is_refused() {
        assert_eq!(Timestamp::parse("2026-11-23T06:13:23"), Err(TimeError::NoZone));
    }

    #[test]
    fn years_outside_0001_to_9999_are_refused() {
        let first = Timestamp::parse("0001-01-01T00:00:00Z").unwrap();
        let last = Timestamp::parse("9999-12-31T23:59:59.999999Z").unwrap();
        assert_eq!(first.as_unix_seconds(), FIRST_SECOND);
        assert_eq!(last.as_unix_seconds(), LAST_SECOND);
        assert_eq!(first.plus_micros(-1), Err(TimeError::OutOfRange));
        assert_eq!(last.plus_micros(1), Err(TimeError::OutOfRange));
        assert_eq!(last.plus_micros(i64::MAX), Err(TimeError::OutOfRange));
        assert_eq!(Timestamp::from_unix_seconds(i64::MIN), Err(TimeError::OutOfRange));
        assert_eq!(Timestamp::from_unix_micros(i64::MAX), Err(TimeError::OutOfRange));
        assert_eq!(Timestamp::parse("0000-12-31T23:59:59Z"), Err(TimeError::OutOfRange));
        assert_eq!(Timestamp::parse("0001-01-01T00:00:00+00:01"), Err(TimeError::OutOfRange));
        assert_eq!(Timestamp::parse("9999-12-31T23:59:59-00:01"), Err(TimeError::OutOfRange));
        assert_eq!(
            Timestamp::parse("0000-12-31T23:59:59-00:01").unwrap().as_unix_seconds(),
            FIRST_SECOND + 59
        );
    }

    #[test]
    fn stated_time_becomes_utc_with_nine_digits() {
        for (text, expected) in [
            ("2024-02-29T23:59:59Z", "2024-02-29T23:59:59.000000000Z"),
            ("2024-02-29t23:59:59.5z", "2024-02-29T23:59:59.500000000Z"),
            ("2024-03-01 01:59:59.123456789+02:00", "2024-02-29T23:59:59.123456789Z"),
            ("2024-02-29T18:29:59.1234567899-05:30", "2024-02-29T23:59:59.123456789Z"),
            ("2024-02-29T23:59:59-00:00", "2024-02-29T23:59:59.000000000Z"),
        ] {
            assert_eq!(stated(text), (expected.to_owned(), Zone::Stated), "{text}");
        }
    }

    #[test]
    fn stated_time_without_a_zone_is_read_as_utc() {
        let expected = ("2024-02-29T23:59:59.250000000Z".to_owned(), Zone::AssumedUtc);
        assert_eq!(stated("2024-02-29T23:59:59.25"), expected);
    }

    #[test]
    fn stated_times_are_ordered_by_instant() {
        let [early, late] = ["2024-01-01T12:00:00.000000001+14:00", "2023-12-31T22:00:00.000000002Z"];
        let (early, late) = (StatedTime::parse(early).unwrap().0, StatedTime::parse(late).unwrap().0);
        assert!(early < late);
        assert_eq!(early.to_timestamp(), late.to_timestamp());
    }

    #[test]
    fn texts_that_are_no_rfc_3339_time_are_refused() {
        use TimeError::*;
        for (text, expected) in [
            ("", NotRfc3339),
            ("2024-02-29", DateOnly),
            ("2024-02-29Z", NotRfc3339),
            ("2023-02-29T00:00:00Z", NoSuchDate),
            ("1900-02-29T00:00:00Z", NoSuchDate),
            ("2024-00-01T00:00:00Z", NoSuchDate),
            ("2024-13-01T00:00:00Z", NoSuchDate),
            ("2024-04-31T00:00:00Z", NoSuchDate),
            ("2024-04-00T00:00:00Z", NoSuchDate),
            ("2024-02-29T24:00:00Z", NoSuchTime),
            ("2024-02-29T23:60:00Z", NoSuchTime),
            ("2024-02-29T23:59:61Z", NoSuchTime),
            ("2016-12-31T23:59:60Z", LeapSecond),
            ("2024-02-29T23:59Z", NotRfc3339),
            ("2024-02-29T23:59:59.Z", NotRfc3339),
            ("2024-02-29T23:59:59,5Z", NotRfc3339),
            ("2024-02-29T23:59:59+0200", NotRfc3339),
            ("2024-02-29T23:59:59+02", NotRfc3339),
            ("2024-02-29T23:59:59+24:00", NoSuchOffset),
            ("2024-02-29T23:59:59+23:60", NoSuchOffset),
            ("2024-02-29T23:59:59 Z", NotRfc3339),
            ("2024-02-29T23:59:59Z ", NotRfc3339),
            (" 2024-02-29T23:59:59Z", NotRfc3339),
            ("2024-02-29T23:59:59+02:00x", NotRfc3339),
            ("2024-2-29T23:59:59Z", NotRfc3339),
            ("+024-02-29T23:59:59Z", NotRfc3339),
            ("12024-02-29T23:59:59Z", NotRfc3339),
            ("２024-02-29T23:59:59Z", NotRfc3339),
        ] {
            assert_eq!(StatedTime::parse(text).err(), Some(expected), "{text:?}");
        }
    }

    #[test]
    fn serde_takes_only_the_spelling_it_writes() {
        let time = Timestamp::EPOCH;
        let json = serde_json::to_string(&time).unwrap();
        assert_eq!(json, r#""1970-01-01T00:00:00.000000Z""#);
        assert_eq!(serde_json::from_str::<Timestamp>(&json).unwrap(), time);
        let stated = StatedTime::from(time);
        let json = serde_json::to_string(&stated).unwrap();
        assert_eq!(json, r#""1970-01-01T00:00:00.000000000Z""#);
        assert_eq!(serde_json::from_str::<StatedTime>(&json).unwrap(), stated);
        for other in
            ["1970-01-01T00:00:00Z", "1970-01-01T00:00:00.000000z", "1970-01-01T01:00:00.000000+01:00"]
        {
            let json = format!("{other:?}");
            assert!(serde_json::from_str::<Timestamp>(&json).is_err(), "{other}");
            assert!(serde_json::from_str::<StatedTime>(&json).is_err(), "{other}");
        }
    }

    proptest! {
        #[test]
        fn every_timestamp_reads_back(micros in FIRST_SECOND * MICROS_PER_SECOND..(LAST_SECOND + 1) * MICROS_PER_SECOND) {
            let time = Timestamp::from_unix_micros(micros).unwrap();
            prop_assert_eq!(Timestamp::parse(&time.to_rfc3339()), Ok(time));
            prop_assert_eq!(StatedTime::from(time).to_timestamp(), time);
        }

        #[test]
        fn spelling_order_is_order_in_time(
            a in FIRST_SECOND..=LAST_SECOND, b in FIRST_SECOND..=LAST_SECOND,
            c in 0..1_000_000_000u32, d in 0..1_000_000_000u32,
        ) {
            let (a, b) = (StatedTime { seconds: a, nanos: c }, StatedTime { seconds: b, nanos: d });
            prop_assert_eq!(a.cmp(&b), a.to_rfc3339().cmp(&b.to_rfc3339()));
        }

        #[test]
        fn an_offset_moves_the_clock_and_not_the_instant(
            seconds in FIRST_SECOND + SECONDS_PER_DAY..=LAST_SECOND - SECONDS_PER_DAY,
            nanos in 0..1_000_000_000u32, minutes in -1_439..=1_439i64,
        ) {
            let local = StatedTime { seconds: seconds + minutes * 60, nanos }.to_rfc3339();
            let sign = if minutes < 0 { '-' } else { '+' };
            let (hour, minute) = (minutes.abs() / 60, minutes.abs() % 60);
            let text = format!("{}{sign}{hour:02}:{minute:02}", local.trim_end_matches('Z'));
            prop_assert_eq!(StatedTime::parse(&text), Ok((StatedTime { seconds, nanos }, Zone::Stated)));
        }

        #[test]
        fn no_text_makes_the_reader_panic(text in "[0-9TtZz:+. -]{0,40}|\\PC{0,40}") {
            let _ = StatedTime::parse(&text);
        }
    }
}
