//! The topics of the Help menu, in the words of this program.
//!
//! IRIX has the same five; the keys are ours.

/// A topic: its title and its text.
pub struct Topic {
    /// In the menu.
    pub title: &'static str,
    /// The text, a paragraph a line.
    pub text: &'static str,
}

/// All topics.
pub const TOPICS: &[Topic] = &[
    Topic { title: "Overview", text: OVERVIEW },
    Topic { title: "How to Checkpoint", text: CHECKPOINT },
    Topic { title: "How to Restart", text: RESTART },
    Topic { title: "Querying a Statefile", text: QUERY },
    Topic { title: "Deleting a Statefile", text: DELETE },
    Topic { title: "Keys and Mouse", text: KEYS },
];

const OVERVIEW: &str = "\
cview saves running processes in a statefile, which is a directory, and brings them back from it later, exactly where they were. It does what the command cpr does.

Two tabs at the top choose the panel: one for checkpoints, one for restarts. F2 changes between them.

What you choose here counts before the attribute file $HOME/.cpr; what you leave alone is as that file says.";

const CHECKPOINT: &str = "\
STEP I. Choose whose processes are listed, press the button, and choose a process from the list. The menu below says what is saved with it: nothing else, its process group, its session, its hierarchy (all that descends from it), all that share its memory, its control group (JID) or its batch job (ASH). Give the statefile a name.

STEP II. If you like, press the button to list the files that these processes have open, and choose what becomes of each:
  MERGE       not saved; opened again where it was (the usual)
  IGNORE      not saved; opened again at its beginning
  APPEND      not saved; gone on with at its end, for logs
  REPLACE     saved; put back at the restart, over what is there then
  SUBSTITUTE  saved; the processes get a copy, what is there stays
The other menu says whether the processes exit afterwards or continue.

STEP III. Press OK. Cancel forgets what you chose.";

const RESTART: &str = "\
Change to the other panel, and choose a statefile from the list. All files are listed; statefiles are marked with a star. To look elsewhere, change the path at the top and press List; Enter on a directory goes there.

Process ids: the original ones, or, if they are taken, any. With the boxes below processes work in the directory of cview, or with its root directory, instead of their own.

Press OK Go Restart. The processes run on their own, without a terminal; to have a job in front of your shell, leave cview and say: cpr -j -r STATEFILE";

const QUERY: &str = "\
Choose a statefile on the restart panel, and press Tell Me More About This Statefile: the processes in it with their ids, their credentials and working directory, the files they have open with what becomes of each, and when it was made.";

const DELETE: &str = "\
Choose a statefile on the restart panel, and press Remove This Statefile. You are asked once. Only its owner and the superuser may do that, and nothing but statefiles can be removed here.";

const KEYS: &str = "\
Tab, Shift-Tab   go to the next or previous part
Enter, Space     press a button, open a menu, tick a box
Up, Down         move in a list; in a field: earlier entries
Left, Right      change a menu, or the disposition of a file
typing           in a list: show only lines with this text; Backspace takes a letter back
F1 help   F2 other panel   F3 picture of the job   F5 list again   F10 or Ctrl-Q leave   Esc close, or stop typing

The mouse presses what it clicks and scrolls lists. Text dropped or pasted goes into the field that is marked.";

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn the_five_topics_of_the_guide_are_there() {
        for title in ["Overview", "How to Checkpoint", "How to Restart", "Querying a Statefile", "Deleting a Statefile"] {
            assert!(TOPICS.iter().any(|topic| topic.title == title && topic.text.len() > 100), "{title}");
        }
    }
}
