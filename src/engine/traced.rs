//! Processes that are traced or trace others, and what a request says about them (`--ptraced-…`, `--ptracer-…`).
//!
//! Relies on [`tree`](super::tree) for who belongs to the job and who descends from whom. Pure: looks at nothing itself.

use std::collections::BTreeSet;

use super::request::TraceRule;
use super::tree::SelectError;

/// Somebody traces somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tracing {
    /// Who is traced.
    pub tracee: i32,
    /// By whom.
    pub tracer: i32,
}

/// What a request says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// About members that are traced.
    pub ptraced: TraceRule,
    /// About members that trace others.
    pub ptracer: TraceRule,
}

impl Rules {
    /// Takes those to be left out away from `members`, each with all that `branch` names, then refuses what is left over: what `strace prog`
    /// traces is no obstacle once strace and its children are left out.
    pub fn apply(self, all: &[Tracing], members: &mut BTreeSet<i32>, branch: impl Fn(i32) -> BTreeSet<i32>) -> Result<(), SelectError> {
        let traced = all.iter().map(|one| one.tracee).filter(|_| self.ptraced == TraceRule::Skip);
        let tracing = all.iter().map(|one| one.tracer).filter(|_| self.ptracer == TraceRule::Skip);
        let left_out: BTreeSet<i32> = traced.chain(tracing).filter(|pid| members.contains(pid)).collect();
        for pid in left_out.into_iter().flat_map(branch) {
            members.remove(&pid);
        }
        for &Tracing { tracee, tracer } in all {
            if self.ptraced == TraceRule::Error && members.contains(&tracee) {
                return Err(SelectError::Ptraced { pid: tracee, tracer });
            }
            if self.ptracer == TraceRule::Error && members.contains(&tracer) {
                return Err(SelectError::Ptracer { pid: tracer, tracee });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod test {
    use super::TraceRule::{Allow, Error, Skip};
    use super::*;

    /// In the tree 1 → (2 → 3, 4), who is left; or the refusal's error number.
    fn left(ptraced: TraceRule, ptracer: TraceRule, tracings: &[(i32, i32)], is_tree: bool) -> Result<Vec<i32>, String> {
        let mut members = BTreeSet::from([1, 2, 3, 4]);
        let all: Vec<Tracing> = tracings.iter().map(|&(tracee, tracer)| Tracing { tracee, tracer }).collect();
        let branch = |pid| if is_tree && pid == 2 { BTreeSet::from([2, 3]) } else { BTreeSet::from([pid]) };
        Rules { ptraced, ptracer }.apply(&all, &mut members, branch).map_err(|error| error.to_string())?;
        Ok(members.into_iter().collect())
    }

    #[test]
    fn a_tracer_is_left_out_with_the_children_that_it_traces() {
        for (ptraced, ptracer, tracings, is_tree, expected) in [
            (Error, Skip, &[(3, 2)][..], true, Ok(vec![1, 4])),
            (Allow, Skip, &[(3, 2)], true, Ok(vec![1, 4])),
            (Error, Skip, &[(3, 2)], false, Err("process 3 is traced by process 2")),
            (Skip, Skip, &[(3, 2)], false, Ok(vec![1, 4])),
            (Skip, Error, &[(3, 2)], true, Err("process 2 traces process 3")),
            (Error, Error, &[(3, 2)], true, Err("process 3 is traced by process 2")),
            (Allow, Error, &[(3, 2)], true, Err("process 2 traces process 3")),
            (Allow, Allow, &[(3, 2)], true, Ok(vec![1, 2, 3, 4])),
            // A debugger outside of the job, and one of a process outside of it.
            (Skip, Error, &[(2, 99)], true, Ok(vec![1, 4])),
            (Error, Skip, &[(2, 99)], true, Err("process 2 is traced by process 99")),
            (Error, Skip, &[(99, 2)], true, Ok(vec![1, 4])),
            // One that has attached to its sibling.
            (Error, Skip, &[(4, 2)], true, Err("process 4 is traced by process 2")),
            (Skip, Skip, &[(4, 2)], true, Ok(vec![1])),
        ] {
            let expected = expected.map_err(str::to_owned);
            assert_eq!(left(ptraced, ptracer, tracings, is_tree), expected, "{ptraced:?} {ptracer:?} {tracings:?} {is_tree}");
        }
    }
}
