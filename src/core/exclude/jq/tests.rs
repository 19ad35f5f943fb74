//! Expressions people use, those that must be refused, and those that must run out.

use serde_json::json;

use super::*;

fn found(expression: &str, object: &Value) -> Result<Vec<String>, String> {
    let jq: Jq = expression.parse().unwrap_or_else(|error| panic!("{expression}: {error}"));
    let spell = |place: Vec<Found>| {
        let step = |step: Found| match step {
            Found::Field(name) => format!(".{name}"),
            Found::Index(index) => format!("[{index}]"),
        };
        place.into_iter().map(step).collect::<String>()
    };
    Ok(jq.places(&Input::of(object), &Budget::default())?.into_iter().map(spell).collect())
}

fn deployment() -> Value {
    json!({"spec": {"template": {"spec": {"containers": [
        {"name": "app", "image": "a:1", "env": [{"name": "A", "value": "1"}]},
        {"name": "proxy", "image": "p:1"},
    ]}}}, "webhooks": [{"clientConfig": {"caBundle": "x"}}]})
}

#[test]
fn expressions_people_use_find_their_places() {
    let cases = [
        (".spec.replicas", vec![".spec.replicas"]),
        (
            ".spec.template.spec.containers[] | select(.name == \"proxy\").image",
            vec![".spec.template.spec.containers[1].image"],
        ),
        (".webhooks[]?.clientConfig.caBundle", vec![".webhooks[0].clientConfig.caBundle"]),
        (".nothing[]?", vec![]),
        (
            ".. | select(type == \"object\" and has(\"image\")) | .image",
            vec![".spec.template.spec.containers[0].image", ".spec.template.spec.containers[1].image"],
        ),
        (
            ".spec.template.spec.containers[] | select(.image | startswith(\"p:\")) | .image",
            vec![".spec.template.spec.containers[1].image"],
        ),
        (".spec | if has(\"a\") then .a else .b end, .c // .d", vec![".spec.b", ".spec.d"]),
        (".spec.template.spec.containers[0].env[0][\"value\"]", vec![".spec.template.spec.containers[0].env[0].value"]),
        (
            ".spec.template.spec.containers[] | select([\"app\", \"x\"] | contains([\"app\"])) | .name",
            vec![".spec.template.spec.containers[0].name", ".spec.template.spec.containers[1].name"],
        ),
    ];
    for (expression, expected) in cases {
        assert_eq!(
            found(expression, &deployment()),
            Ok(expected.into_iter().map(str::to_owned).collect()),
            "{expression}"
        );
    }
}

#[test]
fn what_need_not_end_is_refused_when_it_is_written() {
    let cases = [
        ("def f: f; f", "definitions"),
        ("reduce .[] as $x (0; .)", "reduce"),
        (". as $x | $x", "variables"),
        ("repeat(.)", "repeat/1"),
        ("range(1000000000)", "range/1"),
        ("input", "input/0"),
        ("env", "env/0"),
        (".a += 1", "assignments"),
        ("\"x\" * 1000000000", "arithmetic"),
        ("[.a, .b]", "put together"),
        ("{a: .a}", "put together"),
        ("\"\\(.a)\"", "put together"),
        (".a[1:2]", "slice"),
        (".spec | nonsense", "nonsense/0"),
        (".spec.", "not a jq expression"),
        ("import \"a\" as a; .", "not a jq expression"),
    ];
    for (expression, complaint) in cases {
        let said = expression.parse::<Jq>().expect_err(expression);
        assert!(said.contains(complaint), "{expression}: {said}");
    }
    let deep = "(".repeat(500) + "." + &")".repeat(500);
    assert!(deep.parse::<Jq>().is_err_and(|said| said.contains("nested")));
}

#[test]
fn what_multiplies_runs_out_of_steps() {
    let doubling = vec!["(.,.)"; 60].join("|") + "|.spec";
    let said = found(&doubling, &deployment()).expect_err("2^60 results");
    assert!(said.contains("steps") || said.contains("places"), "{said}");
    let hidden = vec!["(.,.)"; 60].join("|") + "|select(false)?";
    let said = found(&hidden, &deployment()).expect_err("2^60 results, none of them shown");
    assert!(said.contains("steps"), "{said}");
}

#[test]
fn an_error_is_told_and_no_place_lost_in_silence() {
    let said = found(".webhooks.name", &deployment()).expect_err("a list has no names");
    assert!(said.contains("index"), "{said}");
    assert!(found(".spec | length", &deployment()).is_err(), "a number is no place");
}

#[test]
fn what_looks_at_whole_values_costs_what_they_weigh() {
    let large = json!({"data": vec!["x"; 3_000]});
    for dear in ["tostring == \"\"", ". == .", "contains({data: []})", "(tostring | length) == 0"] {
        let again = ["(.,.)"; 8].join("|") + &format!("|select({dear}).data");
        // A map cannot be put together, so its constant is refused when it is written.
        let Ok(jq) = again.parse::<Jq>() else {
            assert!(dear.starts_with("contains"), "{dear}");
            continue;
        };
        let said = jq.places(&Input::of(&large), &Budget::default()).expect_err(dear);
        assert!(said.contains("steps"), "{dear}: {said}");
    }
}

#[test]
fn one_budget_is_for_all_expressions_of_an_object() {
    let many: Value = (0..1_500).map(|n| (n.to_string(), Value::Null)).collect::<serde_json::Map<_, _>>().into();
    let (jq, input, budget) = (".[]".parse::<Jq>().expect("valid"), Input::of(&many), Budget::default());
    assert_eq!(jq.places(&input, &budget).map(|places| places.len()), Ok(1_500));
    let said = jq.places(&input, &budget).expect_err("there were 500 left");
    assert!(said.contains("places"), "{said}");
    assert_eq!(".[\"7\"]".parse::<Jq>().expect("valid").places(&input, &budget).map(|places| places.len()), Ok(1));
}
