//! What is said to `cpr`: its flags, and the ids behind `-p`.
//!
//! The letters are those of IRIX; the long names are ours, for scripts that are read by people.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use crate::cli::exit::Refusal;
use crate::cli::flag::general::General;
use crate::cli::flag::{Flag, Outcome, general, under};
use crate::cli::program::Program;
use crate::engine::request::Target;
use crate::policy::attribute::parse::number;
use crate::policy::attribute::{Id, IdType};

/// What was said to `cpr`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CprSaid {
    /// Quiet, verbose, JSON.
    pub general: General,
    /// `-c`
    pub checkpoint: Option<PathBuf>,
    /// `-p`
    pub ids: Vec<Id>,
    /// `-f`
    pub force: bool,
    /// `-g`
    pub go: bool,
    /// `-k`
    pub kill: bool,
    /// `-u`
    pub upgrade: bool,
    /// `-r`
    pub restart: bool,
    /// `-j`
    pub interactive: bool,
    /// `-i`
    pub info: bool,
    /// `-D`
    pub delete: bool,
    /// `--explain`
    pub explain: Vec<Id>,
    /// `--dry-run`
    pub dry_run: bool,
    /// `--attributes`
    pub attributes: Option<PathBuf>,
    /// `--records`
    pub records: bool,
}

impl AsMut<General> for CprSaid {
    fn as_mut(&mut self) -> &mut General {
        &mut self.general
    }
}

/// One of the things that `cpr` does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Form {
    /// `cpr -c STATEFILE -p ID…`
    Checkpoint(PathBuf),
    /// `cpr -r STATEFILE…`
    Restart(Vec<PathBuf>),
    /// `cpr -i STATEFILE…`
    Info(Vec<PathBuf>),
    /// `cpr -D STATEFILE…`
    Delete(Vec<PathBuf>),
    /// `cpr --explain ID…`
    Explain,
}

impl CprSaid {
    /// Which of the forms a command line has.
    pub fn form(&self, operands: &[OsString]) -> Result<Form, Refusal> {
        let forms = [self.checkpoint.is_some(), self.restart, self.info, self.delete, !self.explain.is_empty()];
        if forms.iter().filter(|is_said| **is_said).count() != 1 {
            return Err(Refusal::usage("give exactly one of -c, -r, -i, -D and --explain"));
        }
        let files: Vec<PathBuf> = operands.iter().map(PathBuf::from).collect();
        let belongs = |is_said: bool, option: &str, form: &str| match is_said {
            true => Err(Refusal::usage(format!("{option} belongs to {form}"))),
            false => Ok(()),
        };
        if self.checkpoint.is_none() {
            belongs(!self.ids.is_empty(), "-p", "-c")?;
            belongs(self.force, "-f", "-c")?;
            belongs(self.go, "-g", "-c")?;
            belongs(self.kill, "-k", "-c")?;
            belongs(self.upgrade, "-u", "-c")?;
        }
        if !self.restart {
            belongs(self.interactive, "-j", "-r")?;
        }
        if self.checkpoint.is_none() && !self.restart {
            belongs(self.dry_run, "--dry-run", "-c and -r")?;
        }
        if let Some(path) = &self.checkpoint {
            return self.checkpoint_form(path, &files);
        }
        if !self.explain.is_empty() {
            return match files.first() {
                Some(file) => Err(Refusal::usage(format!("--explain takes ids, so '{}' is too much", file.display()))),
                None => Ok(Form::Explain),
            };
        }
        if files.is_empty() {
            return Err(Refusal::usage("name a statefile"));
        }
        Ok(if self.restart {
            Form::Restart(files)
        } else if self.info {
            Form::Info(files)
        } else {
            Form::Delete(files)
        })
    }

    fn checkpoint_form(&self, path: &Path, files: &[PathBuf]) -> Result<Form, Refusal> {
        if let Some(file) = files.first() {
            return Err(Refusal::usage(format!("the statefile is named by -c, so '{}' is too much", file.display())));
        }
        if self.ids.is_empty() {
            return Err(Refusal::usage("say with -p what is saved"));
        }
        if self.go && self.kill {
            return Err(Refusal::usage("-g and -k exclude each other"));
        }
        Ok(Form::Checkpoint(path.to_owned()))
    }

    /// What `-p` names, for the engine.
    pub fn targets(&self) -> Vec<Target> {
        self.ids.iter().map(|id| Target { scope: id.kind.scope(), id: id.number }).collect()
    }
}

/// Reads `ID[:TYPE][,ID[:TYPE]…]`; without a type it is a process.
pub fn ids(value: &OsStr) -> Result<Vec<Id>, Refusal> {
    let text = value.to_str().ok_or_else(|| Refusal::usage("ids are numbers"))?;
    text.split(',').map(id).collect()
}

fn id(word: &str) -> Result<Id, Refusal> {
    let (digits, kind) = word.split_once(':').unwrap_or((word, IdType::Pid.word()));
    let known = || format!("'{kind}' is no type of an id; known are {}", IdType::WORDS.join(", "));
    let kind = IdType::of(kind).ok_or_else(|| Refusal::usage(known()))?;
    let number = number(digits).ok_or_else(|| Refusal::usage(format!("'{digits}' is no {} number", kind.word())))?;
    Ok(Id { kind, number })
}

/// The program.
pub fn program() -> Program<CprSaid> {
    let flags = [checkpoint(), restart(), others(), general::verbose(Some('v')), general::output(), general::itself(None)];
    Program {
        name: "cpr",
        about: "Checkpoint and restart processes as IRIX does",
        usage: "-c STATEFILE -p ID[:TYPE],... [-fgku] | [-j] -r STATEFILE... | -i STATEFILE... | -D STATEFILE...",
        description: "The command of IRIX Checkpoint and Restart. -c saves processes in a statefile, which is a directory, and ends them unless -g or \
            an attribute file says otherwise; -r brings them back; -i shows what is in a statefile; -D deletes it.\n\n\
            An id is a number, and its type says what it names: PID a process, GID a process group, SID a session, HID a process with all its \
            descendants, SGP the processes that share an address space, JID a control group (the number of its directory, as stat(1) shows it), ASH \
            a job of a batch system (Slurm, PBS, LSF, Grid Engine: its number). Several ids go into one statefile. What several statefiles hold \
            comes back together or not at all.\n\n\
            $HOME/.cpr, and for what it does not mention /etc/cpr_proto, say what becomes of open files and of the processes; --explain shows what \
            counts for an id. Messages are those of IRIX, after the name of the statefile; the lines below say more.",
        operands: ("STATEFILE", "Statefiles, for -r, -i and -D"),
        examples: EXAMPLES,
        flags: flags.into_iter().flatten().collect(),
    }
}

const EXAMPLES: &str = "\
EXAMPLES
  cpr -c ckptSep7 -p 1111               save process 1111 and end it
  cpr -c ckptSep8 -g -p 1113,1225,1397:HID
                                        save two processes and a hierarchy together, and let them run on
  cpr -u -c before-upgrade -p 345:SID   save a session with its programs and libraries
  cpr -j -r ckptSep7                    bring it back in the foreground of this shell
  cpr -r ckptSep7 ckptSep8              both or none, without job control
  cpr -i ckptSep7; cpr -D ckptSep7      look at it, delete it
  cpr --explain 1111                    what the attribute files say about process 1111

EXIT STATUS
  0     done; for -r the processes run
  1     operation not permitted
  2     there is no such statefile
  3     there is no such process
  16    a resource is busy; for -r a process id is taken
  17    the statefile exists, and -f was not given
  22    a value or a statefile is wrong
  255   the command line is wrong
  else  the error number (errno) of what failed; for -j, once the processes run, what they end with";

/// A flag that is said or not.
macro_rules! switch {
    ($long:literal, $field:ident) => {
        Flag::switch($long, |said: &mut CprSaid| -> Outcome {
            said.$field = true;
            Ok(())
        })
    };
}

fn checkpoint() -> Vec<Flag<CprSaid>> {
    let flags = [
        Flag::value("checkpoint", "STATEFILE", |said: &mut CprSaid, value| {
            said.checkpoint = Some(PathBuf::from(value));
            Ok(())
        })
        .short('c')
        .help("Save processes in this new directory"),
        Flag::value("ids", "ID[:TYPE],...", |said: &mut CprSaid, value| {
            said.ids.extend(ids(value)?);
            Ok(())
        })
        .short('p')
        .help("What is saved; TYPE is PID (default), GID, SID, HID, SGP, JID or ASH"),
        switch!("force", force).short('f').help("Overwrite a statefile that is there"),
        switch!("go", go).short('g').help("The processes go on, whatever an attribute file says"),
        switch!("kill", kill).short('k').help("The processes are killed (default), whatever an attribute file says"),
        switch!("upgrade", upgrade).short('u').help("Save programs and libraries too, before the system is upgraded"),
    ];
    under("To checkpoint", flags)
}

fn restart() -> Vec<Flag<CprSaid>> {
    let flags = [
        switch!("restart", restart).short('r').help("Bring back what is in the statefiles, all or nothing; they stay as they are"),
        switch!("job-control", interactive)
            .short('j')
            .help("In the foreground and under the shell's job control, if it had a terminal before"),
    ];
    under("To restart", flags)
}

fn others() -> Vec<Flag<CprSaid>> {
    let flags = [
        switch!("info", info).short('i').help("Show what is in statefiles"),
        switch!("delete", delete).short('D').help("Delete statefiles with all that was saved in them"),
        Flag::value("explain", "ID[:TYPE],...", |said: &mut CprSaid, value| {
            said.explain.extend(ids(value)?);
            Ok(())
        })
        .help("Show what the attribute files say about these ids, and why"),
        Flag::value("attributes", "FILE", |said: &mut CprSaid, value| {
            said.attributes = Some(PathBuf::from(value));
            Ok(())
        })
        .help("Read this attribute file before $HOME/.cpr"),
        switch!("records", records).hidden().help("With -i: a line a process, for libcpr"),
        switch!("dry-run", dry_run).help("With -c and -r: take every decision and show who took it; change nothing"),
    ];
    under("Others", flags)
}

#[cfg(test)]
mod test {
    use super::*;
    use crate::cli::exit::Stop;

    fn form(line: &str) -> Result<(CprSaid, Form), String> {
        let (said, operands) = program().parse(line.split_whitespace().map(OsString::from));
        let text = |stop: Stop| match stop {
            Stop::Refuse(refusal) => refusal.text,
            Stop::Show(show) => format!("{show:?}"),
        };
        let form = operands.map_err(text).and_then(|operands| said.form(&operands).map_err(|refusal| refusal.text))?;
        Ok((said, form))
    }

    #[test]
    fn every_form_of_the_guide() {
        let files = |names: &[&str]| names.iter().map(PathBuf::from).collect::<Vec<_>>();
        for (line, expected) in [
            ("-c ckptSep7 -p 1111", Form::Checkpoint("ckptSep7".into())),
            ("-c statefile -p 0x8000abcd00001111:ASH -g", Form::Checkpoint("statefile".into())),
            ("-p 1113,1225,1397:HID -fku -c ckptSep8", Form::Checkpoint("ckptSep8".into())),
            ("-j -r ckptSep7", Form::Restart(files(&["ckptSep7"]))),
            ("-r a b -j c", Form::Restart(files(&["a", "b", "c"]))),
            ("-jr a", Form::Restart(files(&["a"]))),
            ("-i a b", Form::Info(files(&["a", "b"]))),
            ("-D a", Form::Delete(files(&["a"]))),
            ("--explain 5", Form::Explain),
        ] {
            assert_eq!(form(line).unwrap_or_else(|text| panic!("{line}: {text}")).1, expected, "{line}");
        }
    }

    #[test]
    fn ids_have_types() {
        let shown = |list: &str| ids(OsStr::new(list)).map(|ids| ids.iter().map(Id::to_string).collect::<Vec<_>>().join(" "));
        assert_eq!(shown("1113,1225:GID,0x10:JID").unwrap(), "1113:PID 1225:GID 0x10:JID");
        assert_eq!(shown("0x8000abcd00001111:ASH").unwrap(), format!("{}:ASH", 0x8000_abcd_0000_1111_u64.cast_signed()));
        for (list, text) in [
            ("5:XID", "'XID' is no type of an id; known are PID, GID, SID, HID, SGP, ASH, JID"),
            ("5:*", "'*' is no type of an id; known are PID, GID, SID, HID, SGP, ASH, JID"),
            ("five", "'five' is no PID number"),
            ("5,", "'' is no PID number"),
            ("-5", "'-5' is no PID number"),
        ] {
            assert_eq!(shown(list).unwrap_err().text, text, "{list}");
        }
    }

    #[test]
    fn forms_and_options_that_do_not_go_together_are_refused() {
        for (line, text) in [
            ("", "give exactly one of"),
            ("-c a -r b", "give exactly one of"),
            ("-c a", "say with -p what is saved"),
            ("-c a -p 1 b", "so 'b' is too much"),
            ("-c a -p 1 -g -k", "-g and -k exclude each other"),
            ("-c a -p 1 -j", "-j belongs to -r"),
            ("-r a -f", "-f belongs to -c"),
            ("-r a -p 1", "-p belongs to -c"),
            ("-i a -u", "-u belongs to -c"),
            ("-r", "name a statefile"),
            ("-D", "name a statefile"),
            ("--explain 5 x", "so 'x' is too much"),
            ("-i a --dry-run", "--dry-run belongs to -c and -r"),
        ] {
            let refused = form(line).expect_err(line);
            assert!(refused.contains(text), "{line}: {refused}");
        }
    }
}
