//! State that a job may lose (`cr_checkpoint --allow-lost`).

use super::{Flag, under};
use crate::cli::exit::Refusal;
use crate::cli::low::CheckpointSaid;
use crate::image::LostSort;

/// `--allow-lost SORT[,SORT…]`.
pub fn flags() -> Vec<Flag<CheckpointSaid>> {
    let flag = Flag::value("allow-lost", "SORT[,SORT...]", |said: &mut CheckpointSaid, value| {
        for word in value.to_string_lossy().split(',') {
            match LostSort::of(word) {
                Some(sort) => said.allow_lost.push(sort),
                None if word == "all" => said.allow_lost.extend(LostSort::WORDS.iter().filter_map(|word| LostSort::of(word))),
                None => {
                    let known = LostSort::WORDS.join(", ");
                    return Err(Refusal::usage(format!("--allow-lost takes {known} or all, not '{word}'")).into());
                }
            }
        }
        Ok(())
    })
    .help("Save the job although it will come back without this: namespaces (those of its own), or all. What is lost is said");
    under("State that cannot be kept", [flag])
}

#[cfg(test)]
mod test {
    use crate::cli::low::test::{checkpoint, checkpoint_refusal};
    use crate::image::LostSort;

    #[test]
    fn sorts_add_up_and_all_means_every_one() {
        for line in ["--allow-lost namespaces 1", "--allow-lost all 1"] {
            assert!(checkpoint(line).allow_lost.contains(&LostSort::Namespaces), "{line}");
        }
        assert!(checkpoint("1").allow_lost.is_empty());
        let (status, text) = checkpoint_refusal("--allow-lost namespaces,cows 1");
        assert_eq!((status, text.as_str()), (255, "--allow-lost takes namespaces or all, not 'cows'"));
    }
}
