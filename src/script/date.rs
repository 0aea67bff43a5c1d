//! `cr.date`: moments as text, in UTC.
//!
//! Pure. A script that wants local time runs `date`.

/// What `cr.date` writes when no format is given.
pub const USUAL: &str = "%Y-%m-%dT%H:%M:%SZ";

/// A moment, seconds since 1970, in the form that a format of strftime(3) describes; the error names what is not known.
pub fn date(format: &str, seconds: i64) -> Result<String, String> {
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, day) = civil(days);
    let first = days_before_year(year);
    let mut text = String::new();
    let mut characters = format.chars();
    while let Some(character) = characters.next() {
        if character != '%' {
            text.push(character);
            continue;
        }
        text.push_str(&match characters.next() {
            Some('Y') => year.to_string(),
            Some('m') => format!("{month:02}"),
            Some('d') => format!("{day:02}"),
            Some('H') => format!("{:02}", second / 3600),
            Some('M') => format!("{:02}", second / 60 % 60),
            Some('S') => format!("{:02}", second % 60),
            Some('F') => format!("{year}-{month:02}-{day:02}"),
            Some('T') => format!("{:02}:{:02}:{:02}", second / 3600, second / 60 % 60, second % 60),
            Some('j') => format!("{:03}", days - first + 1),
            // The first day of 1970 was a Thursday.
            Some('u') => ((days + 3).rem_euclid(7) + 1).to_string(),
            Some('s') => seconds.to_string(),
            Some('%') => "%".into(),
            other => {
                let other = other.map(String::from).unwrap_or_default();
                return Err(format!("'%{other}' is not known (known: %Y %m %d %H %M %S %F %T %j %u %s %%)"));
            }
        });
    }
    Ok(text)
}

/// Year, month and day of a day since 1970, in the calendar that is used everywhere (proleptic Gregorian).
fn civil(days: i64) -> (i64, i64, i64) {
    // Years that begin in March have the leap day at their end; 400 of them have always the same length.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day_of_year - (153 * from_march + 2) / 5 + 1)
}

fn days_before_year(year: i64) -> i64 {
    let before = year - 1;
    365 * before + before.div_euclid(4) - before.div_euclid(100) + before.div_euclid(400) - 719_162
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn moments_are_those_of_the_calendar() {
        for (seconds, format, text) in [
            (0, USUAL, "1970-01-01T00:00:00Z"),
            (951_782_400, "%F %j", "2000-02-29 060"),
            (951_868_800, "%d.%m.%Y %T %u", "01.03.2000 00:00:00 3"),
            (-1, USUAL, "1969-12-31T23:59:59Z"),
            (1_795_815_261, "%F %T", "2026-11-27 21:34:21"),
            (4_107_542_399, "%Y %j %s%%", "2100 059 4107542399%"),
        ] {
            assert_eq!(date(format, seconds).unwrap(), text, "{seconds}");
        }
        assert!(date("%Q", 0).unwrap_err().starts_with("'%Q' is not known"));
        assert!(date("%", 0).is_err());
    }
}
