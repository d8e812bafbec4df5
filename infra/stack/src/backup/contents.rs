//! What of a dump is restored, and when: the parts of `pg_restore`'s list.

/// Lines of the list, as `pg_restore --use-list` takes them.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Contents {
    /// Everything that is made and filled.
    pub(super) objects: String,
    /// Who may do what with it.
    pub(super) grants: String,
}

/// What the first migration makes (schemas, extensions, default privileges), and what belongs to the database's platform.
const LEFT_OUT: [&str; 6] = [
    "SCHEMA - ",
    "COMMENT - SCHEMA ",
    "ACL - SCHEMA public ",
    "DEFAULT ACL ",
    "EXTENSION - ",
    "COMMENT - EXTENSION ",
];

impl Contents {
    /// Sorts the lines of `pg_restore --list`.
    pub(super) fn sort(list: &str) -> Self {
        let mut contents = Self::default();
        for line in list.lines() {
            let Some(entry) = entry(line).filter(|entry| !LEFT_OUT.iter().any(|it| entry.starts_with(it)))
            else {
                continue;
            };
            let part = if entry.starts_with("ACL ") { &mut contents.grants } else { &mut contents.objects };
            part.push_str(line);
            part.push('\n');
        }
        contents
    }
}

/// What stands behind the three numbers of a line, unless it is a comment.
fn entry(line: &str) -> Option<&str> {
    let (_, numbered) = line.split_once("; ").filter(|_| !line.starts_with(';'))?;
    numbered.splitn(3, ' ').nth(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_come_before_grants_and_what_the_first_migration_makes_is_left_out() {
        let list = "; Selected TOC Entries:\n;\n\
            7; 2615 16394 SCHEMA - kitloop kitloop_owner\n\
            4162; 0 0 ACL - SCHEMA kitloop kitloop_owner\n\
            4163; 0 0 ACL - SCHEMA public kitloop_owner\n\
            215; 1259 17051 TABLE public providers kitloop_owner\n\
            4174; 0 0 ACL public TABLE providers kitloop_owner\n\
            4180; 826 1 DEFAULT ACL - DEFAULT PRIVILEGES FOR FUNCTIONS kitloop_owner\n";
        let contents = Contents::sort(list);
        assert_eq!(contents.objects, "215; 1259 17051 TABLE public providers kitloop_owner\n");
        assert_eq!(
            contents.grants,
            "4162; 0 0 ACL - SCHEMA kitloop kitloop_owner\n4174; 0 0 ACL public TABLE providers kitloop_owner\n"
        );
    }
}
