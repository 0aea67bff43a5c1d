//! The objects of a job while it is restarted, decoded once.
//!
//! Relies on the kinds for everything that an object does. Leaves to `image::check` that references lead somewhere.

use super::plan::together;
use crate::error::Failure;
use crate::image::{Object, ObjectId, Snapshot};
use crate::resource::{KindError, LiveObject, file_kind};

/// The objects of a job, by position.
pub struct Graph(Vec<Box<dyn LiveObject>>);

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
        Ok(Graph(objects))
    }

    /// An object.
    pub fn live(&self, id: ObjectId) -> &dyn LiveObject {
        self.0[id as usize].as_ref()
    }

    /// An object, to be changed by a decision.
    pub fn live_mut(&mut self, id: ObjectId) -> &mut dyn LiveObject {
        self.0[id as usize].as_mut()
    }

    /// Puts another object in the place of one.
    pub fn replace(&mut self, id: ObjectId, object: Box<dyn LiveObject>) {
        self.0[id as usize] = object;
    }

    /// Every object with its position and what the snapshot says about it.
    pub fn objects<'a>(&'a self, snapshot: &'a Snapshot) -> impl Iterator<Item = (ObjectId, &'a Object, &'a dyn LiveObject)> {
        (0..).zip(&snapshot.objects).zip(&self.0).map(|((id, object), live)| (id, object, live.as_ref()))
    }
}
