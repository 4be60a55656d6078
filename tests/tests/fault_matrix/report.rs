//! The matrix as a page, and a run as somebody reads it who has to find out what went wrong.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use crate::{
    fault::{Kind, Point},
    judge,
    run::{EndedBy, Played},
    scenario::{Scenario, Told},
};

/// Whether every promise holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holds {
    Yes,
    /// But for what is known.
    AsKnown,
    No,
}

/// What became of a run, in a few letters.
pub fn code(it: &Played, violations: Holds) -> String {
    if !it.struck {
        return "·".to_owned();
    }
    let mut code = String::new();
    for told in &it.told {
        code.push(match told {
            Told::Request(answer) | Told::Renewal(answer) => match &answer.result {
                Ok(_) => 'G',
                Err(failure) if failure.cause.status == "denied" => 'D',
                Err(_) => 'F',
            },
            Told::Release(Ok(ended)) if ended.status.as_str() == "SUCCEEDED" => 'R',
            Told::Release(_) => 'N',
        });
    }
    if code.is_empty() {
        code.push('–');
    }
    code.push_str(match it.ended_by {
        EndedBy::Itself => "",
        EndedBy::Sweep => "s",
        EndedBy::LaterSweep => "l",
        EndedBy::Person => "p",
        EndedBy::Nobody => "?",
    });
    if it.executions.iter().any(|ran| ran.entered("DeprovisionFailed")) {
        code.push('!');
    }
    match violations {
        Holds::Yes => code,
        Holds::AsKnown => format!("_{code}_"),
        Holds::No => format!("**{code}**"),
    }
}

const LEGEND: &str = "\
| letter | |
|---|---|
| `G` | told: granted (a role, or new credentials) |
| `D` | told: denied |
| `F` | told: failed, with the reason; the alarm of requests goes off |
| `R` | told: released |
| `N` | told: not released; a person is called |
| `–` | nobody is told anything: the lease ended, or the client was gone |
| `s` | not ended when its lease was over; a sweep ended it, while the fault lasted |
| `l` | likewise, when the fault was over: the next sweep |
| `p` | likewise: the release of the person who was called |
| `!` | an end failed for good after all its attempts; the alarm went off and a message was sent |
| `·` | the call was not made again, so nothing was hit |
| _slanted_ | as [known](#known) |
| **bold** | a promise did not hold: see [below](#what-did-not-hold) |
";

/// What is written down of a run.
pub struct Row {
    pub scenario: Scenario,
    pub point: Point,
    pub kind: Kind,
    pub for_good: bool,
    pub code: String,
}

/// Of the pairs.
#[derive(Default)]
pub struct Pairs {
    pub played: usize,
    pub struck: usize,
    pub seeds: String,
    /// Runs of all kinds that there was no time for.
    pub not_played: usize,
}

/// The page.
pub fn page(points: &[(Scenario, Vec<Point>)], rows: &[Row], pairs: &Pairs, violations: &[String]) -> String {
    let mut text = String::from(INTRODUCTION);
    let _ = writeln!(text, "\n## Faults\n\n| fault | |\n|---|---|");
    for kind in Kind::ALL {
        let _ = writeln!(text, "| `{}` | {} |", kind.name(), kind.means());
    }
    let _ = writeln!(
        text,
        "\n## How to read the tables\n\nA cell has what became of two runs: the call hit once, and from then on for good.\n\n{LEGEND}"
    );
    totals(&mut text, rows, pairs, violations);
    let mut cells: BTreeMap<(Scenario, &Point, Kind), [&str; 2]> = BTreeMap::new();
    for row in rows {
        cells.entry((row.scenario, &row.point, row.kind)).or_insert(["", ""])[usize::from(row.for_good)] = &row.code;
    }
    for (scenario, points) in points {
        let _ =
            writeln!(text, "\n## {scenario}\n\n{}{}.\n", scenario.says()[..1].to_uppercase(), &scenario.says()[1..]);
        let kinds: BTreeSet<Kind> = rows.iter().filter(|row| row.scenario == *scenario).map(|row| row.kind).collect();
        let heads: Vec<_> = kinds.iter().map(|kind| kind.name()).collect();
        let _ = writeln!(text, "| call | {} |\n|---|{}", heads.join(" | "), "---|".repeat(heads.len()));
        for point in points {
            let cells: Vec<_> = kinds
                .iter()
                .map(|kind| cells.get(&(*scenario, point, *kind)).map_or_else(String::new, |it| it.join(" ")))
                .collect();
            let _ = writeln!(text, "| {point} | {} |", cells.join(" | "));
        }
    }
    let _ = writeln!(text, "\n## Known\n");
    for judge::Known { checks, states, why, .. } in judge::KNOWN {
        let _ = writeln!(text, "- `{}`, `{}`: {why}", checks.join("`, `"), states.join("`, `"));
    }
    let _ = writeln!(text, "\n## What did not hold\n");
    if violations.is_empty() {
        let _ = writeln!(text, "Nothing.");
    }
    for violation in violations {
        let _ = writeln!(text, "- {violation}");
    }
    text
}

fn totals(text: &mut String, rows: &[Row], pairs: &Pairs, violations: &[String]) {
    let _ = writeln!(text, "\n## Totals\n\n| scenario | calls | runs | hit | violations |\n|---|---|---|---|---|");
    let violated = |row: &&Row| row.code.starts_with("**");
    let struck = |row: &&Row| !row.code.contains('·');
    for scenario in Scenario::ALL {
        let of: Vec<_> = rows.iter().filter(|row| row.scenario == scenario).collect();
        if of.is_empty() {
            continue;
        }
        let calls: BTreeSet<_> = of.iter().map(|row| &row.point).collect();
        let (hit, bad) = (of.iter().copied().filter(struck).count(), of.iter().copied().filter(violated).count());
        let _ = writeln!(text, "| {scenario} | {} | {} | {hit} | {bad} |", calls.len(), of.len());
    }
    let (hit, bad) = (rows.iter().filter(struck).count(), rows.iter().filter(violated).count());
    let _ = writeln!(text, "| all single faults | | {} | {hit} | {bad} |", rows.len());
    let in_pairs = violations.iter().filter(|it| it.contains("SEED=")).count();
    let _ = writeln!(text, "| pairs, seeds {} | | {} | {} | {in_pairs} |", pairs.seeds, pairs.played, pairs.struck);
    if pairs.not_played > 0 {
        let _ = writeln!(text, "\nThere was no time for {} more runs; their cells are empty.", pairs.not_played);
    }
    let _ = writeln!(
        text,
        "\nChecked of each run: {}.",
        judge::names().map(|it| format!("`{it}`")).collect::<Vec<_>>().join(", ")
    );
}

const INTRODUCTION: &str = "\
# Fault matrix

Written by `make faults`; do not edit. Each scenario is played once, undisturbed, and its calls are recorded: what the machines call,
and what the functions that they call call. Then it is played again for each call and each fault. `make faults ONLY=part of a name`
plays some of them again, `SEED=n` one pair of faults.

Of a call that a state makes more than twice (a role has many policies) the first two are hit. For good means that call to that resource, from
the hit on, in every state and execution of the transaction, until the lease is over and a sweep has been; then the fault ends, the next sweep
comes, and, if somebody was called, their release.
What fails for good fails until a person mends it: there, an end that calls one is right, also when it has got as far as it could.
A day of attempts is three, and their delays end at once; what is recorded grows twenty minutes old when all is quiet.
";

/// Everything that is known of a run, to read.
pub fn told(it: &Played, violations: &[(&'static str, String)], again: &str) -> String {
    let mut text = format!("\n{} {}\n", it.scenario, it.id);
    for hit in &it.hits {
        let _ = writeln!(text, "  hit {hit}");
    }
    for told in &it.told {
        let _ = writeln!(text, "  told {}", short(&format!("{told:?}"), 900));
    }
    for call in &it.calls {
        let _ = writeln!(text, "    {}", call.line());
    }
    for ran in &it.executions {
        let _ = writeln!(text, "  {} {} {}", ran.arn, ran.status, ran.states.join(" "));
        if let Some(ended) = &ran.ended {
            let _ = writeln!(text, "    {:?} {:?} {}", ended.error, ended.cause, ended.output);
        }
    }
    let _ = writeln!(text, "  item {:#}", it.item.clone().unwrap_or_default());
    let _ = writeln!(text, "  open after the lease: {}, after a sweep: {}", it.open_after_lease, it.open_after_sweep);
    let _ = writeln!(text, "  ended by {:?}", it.ended_by);
    for (check, why) in violations {
        let _ = writeln!(text, "  VIOLATION {check}: {why}");
    }
    let _ = writeln!(text, "  again: {again}");
    text
}

fn short(text: &str, length: usize) -> String {
    text.chars().take(length).collect()
}
