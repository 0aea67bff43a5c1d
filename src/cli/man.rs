//! Manual pages: clap's definitions as roff, with the sections that clap_mangen does not have.

use clap::Command;

/// The programs that refer to each other.
const PROGRAMS: [&str; 5] = ["cr_checkpoint", "cr_restart", "cr_run", "cr_info", "cr_hooks"];

/// The page of a program. `examples` is the text below its help: examples, then exit codes.
pub fn page(command: &Command, examples: &str) -> String {
    let name = command.get_name().to_owned();
    let man = clap_mangen::Man::new(command.clone()).section("1").manual("Reprise");
    let mut roff = Vec::new();
    let written = man
        .render_title(&mut roff)
        .and_then(|()| man.render_name_section(&mut roff))
        .and_then(|()| man.render_synopsis_section(&mut roff))
        .and_then(|()| man.render_description_section(&mut roff))
        .and_then(|()| man.render_options_section(&mut roff));
    assert!(written.is_ok(), "writing into memory cannot fail: {written:?}");
    let mut page = String::from_utf8_lossy(&roff).into_owned();
    for section in examples.split("\n\n") {
        let (heading, text) = section.split_once('\n').unwrap_or((section, ""));
        page.push_str(&format!(".SH {heading}\n.nf\n{}\n.fi\n", escaped(text)));
    }
    let others: Vec<String> = PROGRAMS.iter().filter(|other| **other != name).map(|other| format!("\\fB{other}\\fR(1)")).collect();
    page.push_str(&format!(".SH \"SEE ALSO\"\n{}\n", others.join(", ")));
    page
}

/// Text as roff takes it literally.
fn escaped(text: &str) -> String {
    let lines = text.lines().map(|line| {
        let line = line.replace('\\', "\\e").replace('-', "\\-");
        if line.starts_with(['.', '\'']) { format!("\\&{line}") } else { line }
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn examples_and_exit_codes_are_sections_and_stay_literal() {
        let command = Command::new("cr_run").about("Start");
        let page = page(&command, "EXAMPLES\n  a -b \\=\n.c\n\nEXIT STATUS\n  0");
        let end = page.split_once(".SH EXAMPLES\n").unwrap().1;
        assert_eq!(
            end,
            ".nf\n  a \\-b \\e=\n\\&.c\n.fi\n.SH EXIT STATUS\n.nf\n  0\n.fi\n\
             .SH \"SEE ALSO\"\n\\fBcr_checkpoint\\fR(1), \\fBcr_restart\\fR(1), \\fBcr_info\\fR(1), \\fBcr_hooks\\fR(1)\n"
        );
    }
}
