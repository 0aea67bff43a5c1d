//! `/proc/sysvipc/{shm,msg,sem}` (proc_sysvipc(5)): the System V objects of our IPC namespace.
//!
//! A table each: a line of names, then a line an object. Columns are found by name, because kernels have added some.

use std::collections::HashMap;

/// A row: its columns by name. Keys and modes are kept as numbers as they are printed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SysvObject {
    columns: HashMap<String, i64>,
}

impl SysvObject {
    /// A column, if the kernel shows it.
    pub fn column(&self, name: &str) -> Option<i32> {
        i32::try_from(*self.columns.get(name)?).ok()
    }

    /// A column that may be larger: a user, a size.
    pub fn wide(&self, name: &str) -> Option<i64> {
        self.columns.get(name).copied()
    }
}

/// Reads a table; what is no number is left out.
pub fn parse(text: &str) -> Vec<SysvObject> {
    let mut lines = text.lines();
    let Some(names) = lines.next() else { return Vec::new() };
    let object = |line: &str| {
        let columns = names.split_whitespace().zip(line.split_whitespace());
        let columns = columns.filter_map(|(name, value)| Some((name.to_owned(), value.parse().ok()?)));
        SysvObject { columns: columns.collect() }
    };
    lines.filter(|line| !line.trim().is_empty()).map(object).collect()
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn columns_have_names() {
        let text = "       key      msqid perms      cbytes       qnum lspid lrpid   uid\n         0          3   600        1500          6   812     0     0\n";
        let queue = &parse(text)[0];
        assert_eq!((queue.column("msqid"), queue.column("nsems")), (Some(3), None));
        assert_eq!((queue.column("lspid"), queue.wide("cbytes")), (Some(812), Some(1500)));
        assert_eq!(parse(""), []);
    }
}
