//! What Daypass promises, on a deployed stack: the real templates, state machines and functions on the local engine.
