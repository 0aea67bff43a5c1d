//! Columns of text: as wide as their widest cell, headings above, numbers to the right.

use console::measure_text_width;
use indicatif::BinaryBytes;

/// Headings of columns that hold numbers; everything else stands to the left.
const RIGHT: &[&str] = &["PID", "THREADS", "MEMORY", "SAVED", "HEAP", "ANONYMOUS", "STACK", "FILES", "SHARED", "KERNEL", "TOTAL"];

/// A table, indented by two; the last column is not padded.
pub fn table(headings: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> Vec<String> {
    let heading = headings.iter().map(|heading| (*heading).to_owned()).collect();
    let rows: Vec<Vec<String>> = std::iter::once(heading).chain(rows).collect();
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| measure_text_width(cell)).max();
    let widths: Vec<usize> = (0..headings.len()).map(|column| width(column).unwrap_or_default()).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(headings).zip(&widths).map(|((cell, heading), width)| {
            let gap = " ".repeat(width.saturating_sub(measure_text_width(cell)));
            if RIGHT.contains(heading) { format!("{gap}{cell}") } else { format!("{cell}{gap}") }
        });
        format!("  {}", cells.collect::<Vec<_>>().join("  ")).trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

/// A size for people; nothing is a dash.
pub fn size(bytes: u64) -> String {
    if bytes == 0 { "-".into() } else { BinaryBytes(bytes).to_string() }
}

/// A size that may be unknown.
pub fn maybe_size(bytes: Option<u64>) -> String {
    bytes.map_or("?".into(), size)
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn columns_line_up() {
        let rows = [vec!["7".into(), "läuft".into(), "sh".into()], vec!["4242".into(), "stopped".into(), String::new()]];
        let lines = table(&["PID", "STATE", "COMMAND"], rows);
        assert_eq!(lines, ["   PID  STATE    COMMAND", "     7  läuft    sh", "  4242  stopped"].map(str::to_owned));
    }

    #[test]
    fn sizes() {
        assert_eq!([size(0), size(4096), maybe_size(None)], ["-", "4.00 KiB", "?"]);
    }
}
