//! What a call may cost: instructions and time, watched from inside the Lua state.
//!
//! Relies on Lua's count hook, which new coroutines inherit from the one that makes them. Once a budget is spent the hook raises an error at every
//! instruction, so that no `pcall` goes on. What is not seen from here: a C function that runs for ever, and what Lua runs inside the hook because of the
//! error, which are message handlers of `xpcall` and `__close` of the interrupted function. The client ends the process then.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use mlua::debug::{Debug, HookTriggers};
use mlua::{Lua, VmState};

/// Instructions between two looks at the clock.
const EVERY: u32 = 1000;
/// Longer than any program runs between two calls.
const UNMETERED: Duration = Duration::from_secs(1 << 40);

/// The budget of the call that runs.
pub struct Meter {
    until: Cell<Instant>,
    time: Cell<Duration>,
    instructions: Cell<u64>,
    left: Cell<u64>,
    what: RefCell<String>,
    fallback: RefCell<String>,
    spent: RefCell<Option<String>>,
    /// Whether coroutines may exist that raise errors at every instruction.
    was_spent: Cell<bool>,
}

impl Meter {
    /// A meter that nothing runs under yet.
    pub fn new() -> Rc<Meter> {
        Rc::new(Meter {
            until: Cell::new(Instant::now()),
            time: Cell::default(),
            instructions: Cell::default(),
            left: Cell::default(),
            what: RefCell::default(),
            fallback: RefCell::default(),
            spent: RefCell::default(),
            was_spent: Cell::default(),
        })
    }

    /// Begins a call: `what` runs, defined at `place`.
    pub fn begin(self: &Rc<Meter>, lua: &Lua, what: &str, place: &str, budget: (Duration, u64)) -> mlua::Result<()> {
        let (time, instructions) = budget;
        self.until.set(Instant::now() + time);
        self.time.set(time);
        self.instructions.set(instructions);
        self.left.set(instructions);
        what.clone_into(&mut self.what.borrow_mut());
        place.clone_into(&mut self.fallback.borrow_mut());
        *self.spent.borrow_mut() = None;
        self.watch(lua, EVERY)
    }

    /// Ends the call: the message of the budget that was spent in it, if one was. What runs until the next call is our own: it makes arguments and
    /// is not metered.
    pub fn end(&self) -> Option<String> {
        self.until.set(Instant::now() + UNMETERED);
        self.left.set(u64::MAX);
        self.spent.take()
    }

    /// Ends the call early: every instruction from now on raises this message, so that no `pcall` goes on.
    pub fn stop(self: &Rc<Meter>, lua: &Lua, message: &str) -> mlua::Result<()> {
        self.spent.borrow_mut().get_or_insert_with(|| message.to_owned());
        self.was_spent.set(true);
        self.watch(lua, 1)
    }

    /// The time that is left of the call.
    pub fn left(&self) -> Duration {
        self.until.get().saturating_duration_since(Instant::now())
    }

    /// What runs, for messages.
    pub fn what(&self) -> String {
        self.what.borrow().clone()
    }

    /// Where the running code was defined: the place of what has no line of its own.
    pub fn place(&self) -> String {
        self.fallback.borrow().clone()
    }

    /// Sets the hook of the coroutine that runs now.
    fn watch(self: &Rc<Meter>, lua: &Lua, every: u32) -> mlua::Result<()> {
        let meter = Rc::clone(self);
        let triggers = HookTriggers::new().every_nth_instruction(every);
        lua.set_global_hook(triggers, move |lua, debug| meter.look(lua, debug))
    }

    fn look(self: &Rc<Meter>, lua: &Lua, debug: &Debug) -> mlua::Result<VmState> {
        let left = self.left.get().saturating_sub(u64::from(EVERY));
        self.left.set(left);
        let is_spent = self.spent.borrow().is_some();
        if !is_spent && left > 0 && Instant::now() < self.until.get() {
            // A coroutine of an earlier call that spent its budget is still watched at every instruction.
            if self.was_spent.get() {
                self.watch(lua, EVERY)?;
            }
            return Ok(VmState::Continue);
        }
        if !is_spent {
            let budget = match left {
                0 => format!("{} instructions", self.instructions.get()),
                _ => format!("{} ms", self.time.get().as_millis()),
            };
            let message = format!("{}: the budget of {budget} for {} is spent", self.place_of(debug), self.what.borrow());
            *self.spent.borrow_mut() = Some(message);
            self.was_spent.set(true);
        }
        self.watch(lua, 1)?;
        Err(mlua::Error::runtime(self.spent.borrow().as_deref().unwrap_or_default()))
    }

    fn place_of(&self, debug: &Debug) -> String {
        let source = debug.source();
        match (source.source.as_deref().and_then(|source| source.strip_prefix('@')), debug.current_line()) {
            (Some(name), Some(line)) => format!("{name}:{line}"),
            _ => self.place(),
        }
    }
}

/// The places in scripts that run now, innermost first; a moderate number.
pub fn places(lua: &Lua) -> Vec<String> {
    const MOST: usize = 20;
    let of = |level| {
        lua.inspect_stack(level, |debug| {
            let source = debug.source();
            let name = source.source.as_deref().and_then(|source| source.strip_prefix('@'))?;
            Some(format!("{name}:{}", debug.current_line()?))
        })
    };
    (0..10 * MOST).map_while(of).flatten().take(MOST).collect()
}

/// The place in a script that runs now, innermost first: `keep.lua:12`.
pub fn place(lua: &Lua) -> Option<String> {
    let mut level = 0;
    loop {
        let place = lua.inspect_stack(level, |debug| {
            let source = debug.source();
            let name = source.source.as_deref().and_then(|source| source.strip_prefix('@'))?;
            Some(format!("{name}:{}", debug.current_line()?))
        })?;
        if place.is_some() {
            return place;
        }
        level += 1;
    }
}
