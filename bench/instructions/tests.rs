//! The tests of the gate's parts that run nothing; a bench target without a harness can hold none.

mod callgrind;
mod gate;

use std::collections::BTreeMap;

use callgrind::{Cost, parse, report};
use gate::{Accepted, Figures, Tools, advice, compare, table};

/// Two functions of two files. The first calls the second; each name is written once, where it comes first.
const TEXT: &str = "\
# callgrind format
positions: line
events: Ir
summary: 100

ob=(1) /bin/x
fl=(1) a.rs
fn=(1) outer
16 10
+4 20
fi=(2) b.rs
7 5
fe=(1)
cob=(2) /lib/y
cfi=(2)
cfn=(2) inner
calls=3 70
-3 60
* 5

fl=(2)
fn=(2)
70 40
-1 20

totals: 100
";

#[test]
fn costs_go_to_the_function_and_to_the_line() {
    let profile = parse(TEXT).unwrap();
    assert_eq!(profile.total, 100);
    let function = |name: &str| profile.functions[name];
    assert_eq!(function("outer"), Cost { own: 40, inclusive: 100 });
    assert_eq!(function("inner"), Cost { own: 60, inclusive: 60 });
    let line = |file: &str, line| profile.lines.get(&(file.to_owned(), line)).copied();
    assert_eq!([line("a.rs", 16), line("a.rs", 20), line("b.rs", 7)], [Some(10), Some(20), Some(5)]);
    assert_eq!([line("a.rs", 4), line("b.rs", 70), line("b.rs", 69)], [Some(5), Some(40), Some(20)]);
}

#[test]
fn a_file_that_is_cut_off_is_no_profile() {
    let cut = TEXT.split_once("totals").unwrap().0;
    assert!(parse(cut).unwrap_err().contains("no totals"));
    assert!(parse("fn=(1) f\n16 x\ntotals: 1\n").unwrap_err().contains("line 2: 16 x"));
}

#[test]
fn a_report_is_of_what_the_longer_run_has_more() {
    let few = parse("fl=(1) a.rs\nfn=(1) start\n1 50\nfn=(2) hot\n2 10\n\ntotals: 60\n").unwrap();
    let many = parse("fl=(1) a.rs\nfn=(1) start\n1 50\nfn=(2) hot\n2 210\n\ntotals: 260\n").unwrap();
    let said = report("tiny", &few, &many, 20, 1);
    assert!(said.starts_with("`tiny`: 10 instructions per exchange\n"), "{said}");
    assert!(said.contains("\n| 10 | 10 | hot |\n") && !said.contains("start"), "{said}");
    assert!(said.contains("\n| 10 | a.rs:2 |\n"), "{said}");
}

fn figures(rustc: &str, instructions: &[(&str, u64)]) -> Accepted {
    let text = |s: &str| s.to_owned();
    let (valgrind, libc, simd) = (text("valgrind-3"), text("glibc 2"), text("avx2"));
    Accepted {
        measured_with: Tools { rustc: text(rustc), valgrind, libc, simd },
        instructions: instructions.iter().map(|&(name, n)| (text(name), n)).collect(),
    }
}

#[test]
fn three_per_cent_more_pass_and_not_one_instruction_beyond() {
    let accepted = figures("1", &[("a", 10_000), ("b", 500)]);
    for passing in [10_300, 10_000, 5_000] {
        assert_eq!(compare(&figures("1", &[("a", passing), ("b", 500)]), &accepted), Ok(()));
    }
    let said = compare(&figures("1", &[("a", 10_301), ("b", 500)]), &accepted).unwrap_err();
    for part in ["`a` takes 10301", "10000 are accepted", "10300 (+3 %)", "ACCEPT=1", "figures.toml"] {
        assert!(said.contains(part), "no {part:?} in {said}");
    }
    assert!(!said.contains("`b`") && !said.contains("mind"), "{said}");
}

#[test]
fn a_figure_that_has_fallen_is_to_be_accepted() {
    let accepted = figures("1", &[("a", 10_300), ("b", 10_301), ("gone", 1)]);
    assert_eq!(advice(&figures("1", &[("a", 10_000), ("b", 10_001), ("new", 1)]), &accepted), None);
    let said = advice(&figures("1", &[("a", 10_000), ("b", 10_000)]), &accepted).unwrap();
    assert!(said.starts_with("`b` fell by more than 3 %") && said.contains("ACCEPT=1"), "{said}");
}

#[test]
fn other_tools_are_told_with_a_failure() {
    let said = compare(&figures("rustc 2", &[("a", 200)]), &figures("rustc 1", &[("a", 100)])).unwrap_err();
    assert!(said.contains("accepted with rustc 1") && said.contains("measured with rustc 2"), "{said}");
}

#[test]
fn an_exchange_on_one_side_only_fails() {
    let said = compare(&figures("1", &[("new", 1)]), &figures("1", &[("old", 1)])).unwrap_err();
    assert!(said.contains("`new` has no accepted figure") && said.contains("`old` has an"), "{said}");
}

#[test]
fn accepted_figures_are_read_back_and_other_architectures_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("figures.toml");
    let none = Figures::read(&path).unwrap();
    assert!(none.of_this_architecture().unwrap_err().contains("ACCEPT=1"));
    let elsewhere = BTreeMap::from([("pdp11".to_owned(), figures("0", &[("a", 7)]))]);
    let mut figures_here = Figures(elsewhere);
    figures_here.accept(figures("1", &[("non-persistent", 9034)]));
    figures_here.write(&path).unwrap();
    let read = Figures::read(&path).unwrap();
    let here = read.of_this_architecture().unwrap();
    assert_eq!(compare(here, &figures("1", &[("non-persistent", 9034)])), Ok(()));
    assert_eq!(read.0["pdp11"].instructions["a"], 7);
    std::fs::write(&path, "[x86_64]\nmeasured_wiht = 1\n").unwrap();
    assert!(Figures::read(&path).unwrap_err().contains("measured_wiht"));
}

#[test]
fn the_table_shows_both_sides() {
    let said = table(&figures("1", &[("a", 103), ("new", 5)]), &figures("1", &[("a", 100)]));
    assert!(said.contains("| a | 103 | 100 | +3.0 % |\n") && said.ends_with("| new | 5 | | |\n"), "{said}");
}
