//! The Gregorian calendar as numbers, for times that are written and read.
//!
//! Source: Howard Hinnant's `civil_from_days` and `days_from_civil`
//! (<https://howardhinnant.github.io/date_algorithms.html>), for days from 1970 on. Years start in March there, so that the
//! leap day is the last.

/// Days of the 400 years after which the calendar repeats.
const DAYS_OF_ERA: u64 = 146_097;
/// Days from 0000-03-01 to 1970-01-01.
const BEFORE_1970: u64 = 719_468;

/// Year, month (1 to 12) and day (1 to 31) of a number of days since 1970-01-01.
#[must_use]
pub fn date(days: u64) -> (u64, u64, u64) {
    let days = days + BEFORE_1970;
    let (era, day_of_era) = (days / DAYS_OF_ERA, days % DAYS_OF_ERA);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

/// Days from 1970-01-01 to a date; `None` before that, and where there is no such day.
#[must_use]
pub fn days(year: u64, month: u64, day: u64) -> Option<u64> {
    let is_leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let length = match month {
        4 | 6 | 9 | 11 => 30,
        2 => 28 + u64::from(is_leap),
        1..=12 => 31,
        _ => return None,
    };
    if year < 1970 || !(1..=length).contains(&day) {
        return None;
    }
    let year = year - u64::from(month <= 2);
    let (era, year_of_era) = (year / 400, year % 400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    Some(era * DAYS_OF_ERA + day_of_era - BEFORE_1970)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_day_of_four_centuries_follows_the_one_before() {
        let leap = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
        let (mut year, mut month, mut day) = (1970, 1, 1);
        for number in 0..DAYS_OF_ERA {
            assert_eq!(date(number), (year, month, day));
            assert_eq!(days(year, month, day), Some(number));
            let length = match month {
                2 => 28 + u64::from(leap(year)),
                4 | 6 | 9 | 11 => 30,
                _ => 31,
            };
            (year, month, day) = match (month, day) {
                (12, 31) => (year + 1, 1, 1),
                (_, day) if day == length => {
                    assert_eq!(days(year, month, day + 1), None);
                    (year, month + 1, 1)
                }
                (_, day) => (year, month, day + 1),
            };
        }
    }

    #[test]
    fn there_is_no_day_before_1970_nor_a_thirteenth_month() {
        for (year, month, day) in [(1969, 12, 31), (2026, 13, 1), (2026, 0, 1), (2026, 1, 0), (0, 1, 1)] {
            assert_eq!(days(year, month, day), None, "{year}-{month}-{day}");
        }
    }
}
