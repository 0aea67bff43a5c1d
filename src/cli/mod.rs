//! The command lines: flags, what they mean, all output and all exit codes. No other layer prints or chooses an exit code.
//!
//! A program runs through four steps, one file each: [`low`] (what was said), [`high`] (what it means: a request for the engine),
//! the program's own file (the call), and [`report`] with [`exit`] (what people, scripts and shells get to see).
//! Flags live in [`flag`], one file a topic, so that help texts, man pages and shell completions come from the same definitions.
//! Relies on `engine` for the work and on `sys` for the few calls that `nix` does not offer safely.

pub mod attributes;
pub mod checkpoint;
pub mod cpr;
pub mod cview;
pub mod engine_calls;
pub mod exit;
pub mod flag;
pub mod high;
pub mod hooks;
pub mod info;
pub mod low;
pub mod man;
pub mod namespace;
mod own_terminal;
pub mod policies;
pub mod preflight;
mod preload;
pub mod program;
pub mod progress;
pub mod report;
pub mod restart;
pub mod run;
pub mod text;
pub mod wait;
pub mod worker;

#[cfg(test)]
mod test {
    //! What must hold for the definitions of all programs.

    use super::exit::Show;
    use super::flag::Flag;
    use super::program::Program;

    fn check<S>(program: &Program<S>) {
        program.command().debug_assert();
        for Flag { long, help, hidden, .. } in &program.flags {
            assert!(!help.is_empty(), "{}: --{long} has no help", program.name);
            assert!(!help.ends_with('.'), "{}: the help of --{long} ends with a full stop", program.name);
            let is_shown = program.show(Show::Help).contains(&format!("--{long}"));
            assert_eq!(is_shown, !hidden, "{}: --{long}", program.name);
        }
        let man = program.show(Show::Man);
        assert!(man.starts_with(".ie") || man.starts_with(".TH"), "{man}");
        assert!(program.examples.starts_with("EXAMPLES\n") && program.examples.contains("\nEXIT STATUS\n"));
    }

    #[test]
    fn every_flag_has_a_help_text_and_every_program_its_examples() {
        check(&super::checkpoint::program());
        check(&super::restart::program());
        check(&super::run::program());
        check(&super::cpr::program());
        check(&super::cview::program());
        check(&super::info::program());
        check(&super::hooks::program());
    }
}
