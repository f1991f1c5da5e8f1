//! Columns as Go's `text/tabwriter` aligns them with Docker's settings.
//!
//! A tab ends a cell; what follows the last tab of a line belongs to no column. A column is a run of neighbouring
//! lines that have a cell there, so a line without tabs starts all columns anew, as in Go.

/// Docker's settings: no column narrower than this…
const MIN_WIDTH: usize = 10;
/// …and this many spaces after the widest cell.
const PADDING: usize = 3;

/// Replaces the tabs of `text` by spaces that align its columns.
///
/// Widths are counted in characters, not in terminal cells: Go does so, and the output is to be the same.
pub fn align(text: &str) -> String {
    align_from(text, MIN_WIDTH)
}

/// As [`align`], with another least width of columns.
pub fn align_from(text: &str, min_width: usize) -> String {
    let lines: Vec<Vec<&str>> = text.split('\n').map(|line| line.split('\t').collect()).collect();
    let widths = widths(&lines, min_width);
    let mut out = String::with_capacity(text.len() * 2);
    for (n, (line, widths)) in lines.iter().zip(&widths).enumerate() {
        if n > 0 {
            out.push('\n');
        }
        for (cell, width) in line.iter().zip(widths) {
            out.push_str(cell);
            out.extend(std::iter::repeat_n(' ', width - chars(cell)));
        }
        out.push_str(line.last().copied().unwrap_or_default());
    }
    out
}

/// For each line the width of each of its columns: one fewer than it has cells.
fn widths(lines: &[Vec<&str>], min_width: usize) -> Vec<Vec<usize>> {
    let columns = |line: &Vec<&str>| line.len() - 1;
    let mut widths: Vec<Vec<usize>> = lines.iter().map(|line| vec![0; columns(line)]).collect();
    for column in 0..lines.iter().map(columns).max().unwrap_or(0) {
        let mut start = 0;
        while start < lines.len() {
            let run = lines[start..].iter().take_while(|line| columns(line) > column).count();
            let cells = &lines[start..start + run];
            let widest = cells.iter().map(|line| chars(line[column]) + PADDING).max().unwrap_or(0);
            for line in &mut widths[start..start + run] {
                line[column] = widest.max(min_width);
            }
            start += run.max(1);
        }
    }
    widths
}

fn chars(cell: &str) -> usize {
    cell.chars().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pads_to_the_widest_cell_plus_three_and_at_least_ten() {
        let text = "REPOSITORY\tTAG\tSIZE\nregistry.example.com:5000/x\tv1\t1GB\n";
        let expected = concat!(
            "REPOSITORY                    TAG       SIZE\n",
            "registry.example.com:5000/x   v1        1GB\n"
        );
        assert_eq!(align(text), expected);
    }

    #[test]
    fn an_empty_column_is_ten_wide() {
        assert_eq!(
            align("CONTAINER ID\t\tNAMES\n0123456789ab\t\tc1\n"),
            "CONTAINER ID             NAMES\n0123456789ab             c1\n"
        );
    }

    #[test]
    fn counts_characters_not_bytes() {
        assert_eq!(align("sh -c \"é…\"\tx\nCOMMAND\ty"), "sh -c \"é…\"   x\nCOMMAND      y");
    }

    #[test]
    fn a_line_without_tabs_starts_the_columns_anew() {
        assert_eq!(align("a long cell here\tx\nplain\nb\ty"), "a long cell here   x\nplain\nb         y");
    }

    #[test]
    fn empty_text_stays_empty() {
        assert_eq!(align(""), "");
    }

    proptest::proptest! {
        /// Aligning changes nothing but tabs, which become at least the padding.
        #[test]
        fn only_tabs_change(text in "[a-zé…\t\n]{0,60}") {
            let aligned = align(&text);
            proptest::prop_assert!(!aligned.contains('\t'));
            let bare = |text: &str| text.replace(['\t', ' '], "");
            proptest::prop_assert_eq!(bare(&aligned), bare(&text));
            proptest::prop_assert_eq!(aligned.matches('\n').count(), text.matches('\n').count());
        }
    }
}
