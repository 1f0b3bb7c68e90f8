//! Floor 3. Two versions whose data differ in shape: writes to both, and whether both say the same.
//!
//! [`reconcile`] reads entities from both sides by their keys, says where they disagree and mends them; [`gates`] says
//! what is missing before a stage of a migration may be taken. The cores of both are pure.

pub mod gates;
pub mod reconcile;
