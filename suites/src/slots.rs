//! Messages taken out of the module's cache one by one, each by the number of its place.

use atspec_model::{
    case::{Await, Case, Context, Expect, Op, Step, Unmet},
    judge::{StepView, Told, View},
    text,
};

use crate::{told::*, words::*};

pub(crate) fn cases(cx: &Context<'_>) -> Vec<Case> {
    let Some(places) = cx.profile.behaviour.cache.filter(|_| cx.profile.takes("read-message", "slot")) else {
        return Vec::new();
    };
    let t = topic(cx, "in");
    let numbers = numbers(cx, places);
    let delivered = |n: usize| {
        let one = |n| [other_publishes(&t, 0, format!("cached message {n}")), Wait(Await::Messages(n))];
        then(caching(cx, &t), (1..=n).flat_map(one))
    };
    let every = |order: &[i64]| order.iter().map(|slot| Check(read(*slot))).collect::<Vec<_>>();
    let reversed: Vec<i64> = numbers.iter().rev().copied().collect();
    let mut cases = vec![
        case("slots/each", "each place of the cache gives its own message", &[])
            .steps(then(delivered(places), every(&numbers)))
            .expect([own_messages(places)]),
        case("slots/any-order", "places of the cache can be read in any order", &[])
            .steps(then(delivered(places), every(&reversed)))
            .expect([own_messages(places)]),
        case("slots/overwritten", "a place that was taken again gives the later message", &[])
            .steps(then(delivered(places + 1), every(&numbers)))
            .expect([own_messages(places)]),
        case("slots/empty", "an empty place is told as empty", &[])
            .steps(emptied(cx, &t))
            .steps(numbers.iter().map(|slot| Try(read(*slot))))
            .expect([empty_or_left()]),
    ];
    if let Some(last) = numbers.last() {
        cases.push(
            case("slots/beyond", "a place that the cache does not have gives no message", &[])
                .should()
                .steps(then(delivered(places), [Try(read(last + 1))]))
                .expect([nothing_taken(), refused_or_empty()]),
        );
    }
    cases.extend(long(cx, &t, &numbers));
    cases
}

/// The numbers of the places as the document has them.
fn numbers(cx: &Context<'_>, places: usize) -> Vec<i64> {
    match cx.profile.argument("read-message", "slot").and_then(|a| a.range) {
        Some((first, last)) => (first..=last).collect(),
        None => (0..).take(places).collect(),
    }
}

fn read(slot: i64) -> Op {
    Op::new("read-message").with("slot", slot.to_string())
}

fn caching(cx: &Context<'_>, topic: &str) -> Vec<Step> {
    then(subscribed(cx, topic, 0), [Do(message_mode(1))])
}

/// No document says that a place is free once it was read, so places may still hold messages of earlier cases.
fn emptied(cx: &Context<'_>, topic: &str) -> Vec<Step> {
    let all = has(cx, "read-messages").then(|| Try(read_messages()));
    then(caching(cx, topic), all)
}

/// The longest message a place gives, and a longer one where the document has it cut. Which place it is in shows only when
/// it is announced, so all are read.
fn long(cx: &Context<'_>, topic: &str, numbers: &[i64]) -> Vec<Case> {
    let Some(longest) = cx.profile.behaviour.receive_max else { return Vec::new() };
    let of = |name: &str, asks: String, len: usize, printed: usize| {
        case(name, &asks, &[])
            .steps(then(
                caching(cx, topic),
                [other_publishes(topic, 0, letters(len)), Wait(Await::Messages(1))],
            ))
            .steps(numbers.iter().map(|slot| Try(read(*slot))))
            .expect([taken_out(vec![(topic.to_owned(), letters(len)[..printed].to_vec())])])
    };
    let asks = format!("a message of {longest} bytes is read whole out of its place");
    let whole = of("slots/longest", asks, longest, longest);
    let cut = cx.profile.message.cut.map(|cut| {
        let asks = format!("a message of {} bytes is cut to {cut} in its place", cut + 1);
        of("slots/longer", asks, cut + 1, cut)
    });
    [whole].into_iter().chain(cut).collect()
}

/// The steps that read one place: the step, the number, what came of it.
fn reads<'v>(view: &'v View<'_>) -> Vec<(&'v StepView, i64, &'v Told)> {
    let mut found = Vec::new();
    for step in &view.steps {
        for told in &step.dialogues {
            let slot = exchanges(view.profile, "read-message")
                .flat_map(|e| &e.send)
                .find_map(|template| template.read(&told.line, None)?.remove("slot"));
            if let Some(slot) = slot.and_then(|s| std::str::from_utf8(&s).ok()?.parse().ok()) {
                found.push((step, slot, told));
            }
        }
    }
    found
}

/// The payloads printed in a step.
fn taken<'v>(view: &'v View<'_>, step: &StepView) -> Vec<&'v atspec_model::judge::Message> {
    view.messages.iter().filter(|m| m.cached && (step.begin..step.end).contains(&m.at)).collect()
}

/// Each place gives the message that was announced last with its number. With as many messages as there are places, or more,
/// every place holds one of this case.
fn own_messages(places: usize) -> Expect {
    Expect::new(format!("each of {places} places with the message announced for it"), move |view| {
        let announced: Vec<Option<i64>> = view
            .lines_like(&view.profile.message.announced)
            .map(|(_, found, _)| found.number("slot"))
            .collect();
        if announced.is_empty() {
            return Err(Unmet::not_provoked("no announcement in a known form"));
        }
        for (step, slot, told) in reads(view) {
            let Some(n) = announced.iter().rposition(|a| *a == Some(slot)) else {
                return Err(Unmet::at(format!("place {slot} was never announced"), told.asked));
            };
            let wanted = format!("cached message {}", n + 1);
            match taken(view, step).as_slice() {
                [one] if one.payload == wanted.as_bytes() => {}
                [] => return Err(Unmet::at(format!("no message in place {slot}"), told.asked)),
                [one] => {
                    let payload = text::shortened(&one.payload, 40);
                    return Err(Unmet::at(format!("{payload} in place {slot} instead of {wanted}"), one.at));
                }
                [_, more, ..] => return Err(Unmet::at(format!("more than one from place {slot}"), more.at)),
            }
        }
        Ok(())
    })
}

/// Whether a line for an empty place was printed in a step.
fn says_empty(view: &View<'_>, step: &StepView) -> bool {
    let mut lines = view.lines_like(&view.profile.message.empty);
    lines.any(|(at, ..)| (step.begin..step.end).contains(&at))
}

/// A place without a message of this case is empty, or still holds one of an earlier case; a final result code follows
/// either way, OK or ERROR.
fn empty_or_left() -> Expect {
    Expect::new("the line of an empty place, or an older message, and a final result code", |view| {
        for (step, slot, told) in reads(view) {
            let o = &told.outcome;
            if o.answer.is_none() && o.refusal.is_none() {
                return Err(Unmet::at(format!("no final result code for place {slot}"), told.asked));
            }
            let (empty, taken) = (says_empty(view, step), taken(view, step));
            let own = taken.iter().find(|m| m.topic.starts_with(view.header.bindings.topic.as_bytes()));
            if let Some(own) = own {
                return Err(Unmet::at(format!("a message in place {slot} that was never sent"), own.at));
            }
            if !empty && taken.is_empty() {
                return Err(Unmet::at(format!("neither for place {slot}"), told.asked));
            }
        }
        Ok(())
    })
}

fn nothing_taken() -> Expect {
    Expect::new("no message from a place that there is not", |view| {
        let messages = reads(view).into_iter().flat_map(|(step, ..)| taken(view, step));
        messages.into_iter().next().map_or(Ok(()), |m| Err(Unmet::at(text::visible(&m.head), m.at)))
    })
}

fn refused_or_empty() -> Expect {
    Expect::new("a refusal, or the line of an empty place", |view| {
        let quiet = |(step, _, told): &(&StepView, i64, &Told)| {
            told.outcome.refusal.is_none() && told.outcome.failure.is_none() && !says_empty(view, step)
        };
        match reads(view).into_iter().find(quiet) {
            Some((_, _, told)) => Err(Unmet::at("neither", told.asked)),
            None => Ok(()),
        }
    })
}
