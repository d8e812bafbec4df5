use kitloop::telemetry::Metric;

use crate::check::template_rules::monitoring::Monitoring;
use crate::check::template_rules::template::Template;

const PRODUCT: &str = "
Resources:
  SweepFunction:
    Type: AWS::Serverless::Function
    Properties: { FunctionName: !Sub \"kitloop-${Environment}-sweep\" }
";

const ALARMS: &str = "
Resources:
  ErrorsAlarm:
    Type: AWS::CloudWatch::Alarm
    Properties:
      AlarmName: !Sub kitloop-${Environment}-errors
      Namespace: AWS/Lambda
      MetricName: Errors
      Dimensions: [{ Name: FunctionName, Value: !Sub \"kitloop-${Environment}-sweep\" }]
  RollbackAlarm:
    Type: AWS::CloudWatch::Alarm
    Condition: IsGradual
    Properties:
      Metrics:
        - Id: failed
          MetricStat:
            Metric:
              Namespace: Kitloop
              MetricName: Requests
              Dimensions:
                - { Name: Outcome, Value: failed }
                - { Name: Environment, Value: !Ref Environment }
";

const DASHBOARD: &str = r#"
Resources:
  Dashboard:
    Type: AWS::CloudWatch::Dashboard
    Properties:
      DashboardBody: !Sub
        - |
          {"widgets": [
            {"properties": {"alarms": ["${Alarm}-errors"]}},
            {"properties": {
              "limit": ${Limit},
              "metrics": [
                ["Kitloop", "Duration", "Environment", "${Environment}", "Function", "sweep", {"stat": "p95"}],
                [{"expression": "SEARCH('{Kitloop,Environment,Function} MetricName=\"Duration\"', 'p95', 300)"}]
              ]
            }}
          ]}
        - Alarm: arn
"#;

fn emitted(name: &str, dimensions: &[&str]) -> Metric {
    Metric { name: name.to_owned(), dimensions: dimensions.iter().map(|name| (*name).to_owned()).collect() }
}

fn findings(alarms: &str, dashboard: &str) -> Vec<String> {
    findings_with_product(PRODUCT, alarms, dashboard)
}

fn findings_with_product(product: &str, alarms: &str, dashboard: &str) -> Vec<String> {
    let [product, alarms, dashboard] =
        [product, alarms, dashboard].map(|text| Template::parse(text).unwrap());
    let monitoring = Monitoring { product: &product, alarms: &alarms, dashboard: &dashboard };
    let emitted =
        [emitted("Requests", &["Environment", "Outcome"]), emitted("Duration", &["Environment", "Function"])];
    monitoring.violations(&emitted, &["sweep".to_owned()])
}

/// What is found when this part of the good alarms reads otherwise.
fn with_alarms(part: &str, otherwise: &str) -> Vec<String> {
    assert!(ALARMS.contains(part), "the alarms have no {part:?}");
    findings(&ALARMS.replace(part, otherwise), DASHBOARD)
}

/// What is found when this part of the good dashboard reads otherwise.
fn with_dashboard(part: &str, otherwise: &str) -> Vec<String> {
    assert!(DASHBOARD.contains(part), "the dashboard has no {part:?}");
    findings(ALARMS, &DASHBOARD.replace(part, otherwise))
}

#[test]
fn asking_for_what_is_emitted_is_no_finding() {
    assert_eq!(findings(ALARMS, DASHBOARD), Vec::<String>::new());
}

#[test]
fn an_alarm_on_a_metric_that_nobody_emits_is_found() {
    let expected = ["no function emits Request by Environment, Outcome"];
    assert_eq!(with_alarms("MetricName: Requests", "MetricName: Request"), expected);
    let expected = ["no function emits Requests by Outcome"];
    let environment = "                - { Name: Environment, Value: !Ref Environment }\n";
    assert_eq!(with_alarms(environment, ""), expected);
    assert_eq!(
        with_alarms("Value: failed", "Value: fails"),
        ["no function emits Requests with the Outcome fails"]
    );
}

#[test]
fn an_alarm_on_a_function_that_is_not_there_is_found() {
    let found = with_alarms("kitloop-${Environment}-sweep", "kitloop-${Environment}-mop");
    assert_eq!(found, ["Errors is asked for of kitloop-${Environment}-mop, which is no function"]);
}

#[test]
fn an_alarm_on_more_metrics_than_one_may_look_at_is_found() {
    let metric = "        - Id: failed\n";
    let rest = ALARMS.split_once(metric).unwrap().1;
    let alarms = |count: usize| ALARMS.to_owned() + &format!("{metric}{rest}").repeat(count - 1);
    assert_eq!(findings(&alarms(10), DASHBOARD), Vec::<String>::new());
    assert_eq!(findings(&alarms(11), DASHBOARD), ["RollbackAlarm looks at 11 metrics, and may at 10"]);
}

#[test]
fn a_widget_on_a_metric_that_nobody_emits_is_found() {
    let metric = r#""Kitloop", "Duration", "Environment", "${Environment}", "Function", "sweep""#;
    for (otherwise, expected) in [
        (metric.replace("Duration", "Durations"), "no function emits Durations by Environment, Function"),
        (metric.replace(r#", "Function", "sweep""#, ""), "no function emits Duration by Environment"),
        (metric.replace("sweep", "mop"), "no function emits Duration with the Function mop"),
    ] {
        assert_eq!(with_dashboard(metric, &otherwise), [expected]);
    }
}

#[test]
fn a_search_for_what_nobody_emits_is_found() {
    let expected = ["no function emits Answers by Environment, Function"];
    assert_eq!(with_dashboard(r#"MetricName=\"Duration\""#, r#"MetricName=\"Answers\""#), expected);
    let expected = ["no function emits Duration by Code, Environment"];
    assert_eq!(with_dashboard("{Kitloop,Environment,Function}", "{Kitloop,Environment,Code}"), expected);
}

#[test]
fn the_dashboard_shows_each_alarm_that_is_always_there() {
    let expected =
        ["the dashboard does not show the alarm -errors", "the dashboard shows -error, which is no alarm"];
    assert_eq!(with_dashboard("${Alarm}-errors", "${Alarm}-error"), expected);
    let expected =
        ["1 alarms have no name with ${Environment} in it", "the dashboard shows -errors, which is no alarm"];
    assert_eq!(with_alarms("AlarmName: !Sub kitloop-${Environment}-errors", "AlarmName: errors"), expected);
}

#[test]
fn the_alarms_of_the_product_ask_for_what_there_is_and_are_shown_too() {
    let alarm = ALARMS.trim_start_matches("\nResources:\n").split("  RollbackAlarm").next().unwrap();
    let product = |alarm: &str| PRODUCT.to_owned() + &alarm.replace("-errors", "-api-errors");
    let dashboard = DASHBOARD.replace(r#""${Alarm}-errors""#, r#""${Alarm}-errors", "${Alarm}-api-errors""#);
    assert_eq!(findings_with_product(&product(alarm), ALARMS, &dashboard), Vec::<String>::new());
    let expected = ["the dashboard does not show the alarm -api-errors"];
    assert_eq!(findings_with_product(&product(alarm), ALARMS, DASHBOARD), expected);
    let of_nobody = alarm.replace("${Environment}-sweep", "${Environment}-mop");
    let expected = ["Errors is asked for of kitloop-${Environment}-mop, which is no function"];
    assert_eq!(findings_with_product(&product(&of_nobody), ALARMS, &dashboard), expected);
}

#[test]
fn a_dashboard_that_is_no_json_is_found() {
    let found = with_dashboard(r#""limit": ${Limit},"#, r#""limit": ${Limit}"#);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with("the dashboard's body: "), "{found:?}");
}
