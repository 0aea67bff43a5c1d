//! The objects of a job while it is restarted, decoded once.
//!
//! Relies on the kinds for everything that an object does. Leaves to `image::check` that references lead somewhere.

use super::PlanError;
use super::plan::together;
use crate::error::{At, Failure, Stage};
use crate::image::{Object, ObjectId, Snapshot};
use crate::resource::{KindError, LiveObject, file_kind};

/// The objects of a job, by position, and the order in which they are made.
pub struct Graph {
    objects: Vec<Box<dyn LiveObject>>,
    order: Vec<ObjectId>,
}

impl Graph {
    /// Decodes every object, or says everything that this release does not understand.
    pub fn load(snapshot: &Snapshot) -> Result<Graph, Failure> {
        let mut complaints: Vec<KindError> = Vec::new();
        let mut objects = Vec::with_capacity(snapshot.objects.len());
        for object in &snapshot.objects {
            match file_kind(&object.record).and_then(|kind| kind.load(&object.record)) {
                Ok(live) => objects.push(live),
                Err(error) => complaints.push(error),
            }
        }
        together(complaints)?;
        let needs: Vec<Vec<ObjectId>> = objects.iter().map(|live| live.needs(snapshot)).collect();
        let order = order(&needs).map_err(|what| PlanError::Inconsistent { what }).at(Stage::Load)?;
        Ok(Graph { objects, order })
    }

    /// Every object after those that it needs.
    pub fn order(&self) -> &[ObjectId] {
        &self.order
    }

    /// An object.
    pub fn live(&self, id: ObjectId) -> &dyn LiveObject {
        self.objects[id as usize].as_ref()
    }

    /// An object, to be changed by a decision.
    pub fn live_mut(&mut self, id: ObjectId) -> &mut dyn LiveObject {
        self.objects[id as usize].as_mut()
    }

    /// Puts another object in the place of one.
    pub fn replace(&mut self, id: ObjectId, object: Box<dyn LiveObject>) {
        self.objects[id as usize] = object;
    }

    /// Every object with its position and what the snapshot says about it.
    pub fn objects<'a>(&'a self, snapshot: &'a Snapshot) -> impl Iterator<Item = (ObjectId, &'a Object, &'a dyn LiveObject)> {
        (0..).zip(&snapshot.objects).zip(&self.objects).map(|((id, object), live)| (id, object, live.as_ref()))
    }
}

/// Every position after those that it needs, and otherwise in their order; says which ones need each other in a circle.
fn order(needs: &[Vec<ObjectId>]) -> Result<Vec<ObjectId>, String> {
    let mut placed = vec![false; needs.len()];
    let mut order = Vec::with_capacity(needs.len());
    let mut waiting: Vec<ObjectId> = (0..).take(needs.len()).collect();
    while !waiting.is_empty() {
        let before = waiting.len();
        let mut later = Vec::new();
        for id in waiting {
            if needs[id as usize].iter().all(|other| placed.get(*other as usize).copied().unwrap_or(false)) {
                placed[id as usize] = true;
                order.push(id);
            } else {
                later.push(id);
            }
        }
        if later.len() == before {
            return Err(format!("objects {later:?} need each other, or others that are not there"));
        }
        waiting = later;
    }
    Ok(order)
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn what_is_needed_comes_first() {
        for (needs, expected) in [
            (vec![vec![], vec![], vec![]], Ok(vec![0, 1, 2])),
            (vec![vec![2], vec![], vec![1]], Ok(vec![1, 2, 0])),
            (vec![vec![], vec![2], vec![1]], Err("objects [1, 2] need each other, or others that are not there".to_owned())),
            (vec![vec![0]], Err("objects [0] need each other, or others that are not there".to_owned())),
            (vec![vec![7]], Err("objects [0] need each other, or others that are not there".to_owned())),
        ] {
            assert_eq!(order(&needs), expected, "{needs:?}");
        }
    }
}
