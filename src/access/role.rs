//! Roles, and what each may do.

/// What somebody may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Right {
    /// Look at everything.
    Read,
    /// Change weights, drive rollouts, start drills.
    Operate,
    /// Approve what somebody else has started.
    Approve,
    /// What neither operators nor approvers may.
    Administer,
}

/// What somebody is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// Looks.
    Viewer,
    /// Looks and changes.
    Operator,
    /// Looks and approves.
    Approver,
    /// May do everything.
    Admin,
}

impl Role {
    /// All there are.
    pub const ALL: [Self; 4] = [Self::Viewer, Self::Operator, Self::Approver, Self::Admin];

    /// As it is written.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Approver => "approver",
            Self::Admin => "admin",
        }
    }

    /// Whether it has this right.
    #[must_use]
    pub const fn may(self, right: Right) -> bool {
        match (self, right) {
            (_, Right::Read)
            | (Self::Operator, Right::Operate)
            | (Self::Approver, Right::Approve)
            | (Self::Admin, Right::Operate | Right::Approve | Right::Administer) => true,
            (Self::Viewer | Self::Operator | Self::Approver, _) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_role_may_do_just_what_the_readme_says() {
        use Right::{Administer, Approve, Operate, Read};
        let rights = |role: Role| [Read, Operate, Approve, Administer].map(|right| role.may(right));
        assert_eq!(rights(Role::Viewer), [true, false, false, false]);
        assert_eq!(rights(Role::Operator), [true, true, false, false]);
        assert_eq!(rights(Role::Approver), [true, false, true, false]);
        assert_eq!(rights(Role::Admin), [true; 4]);
    }
}
