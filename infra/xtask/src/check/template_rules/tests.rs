mod monitoring;

use super::template::Template;
use super::{check, violations};

/// One scheduled function with all that it needs.
const TEMPLATE: &str = "
Metadata:
  AWS::CloudFormation::Interface:
    ParameterGroups: [{ Label: { default: Where }, Parameters: [Environment] }]
Parameters:
  Environment: { Type: String, Description: Name of the deployment. }
Globals:
  Function:
    Timeout: 15
    Environment:
      Variables:
        FUNCTION_TIMEOUT_SECONDS: '15'
        DATABASE_URL: !Sub ssm:/kitloop/${Environment}/database_url
Resources:
  SweepFunction:
    Type: AWS::Serverless::Function
    Metadata: { BuildProperties: { Binary: sweep } }
    Properties:
      FunctionName: !Sub kitloop-${Environment}-sweep
      DeploymentPreference: { Enabled: false }
      DeadLetterQueue: { Type: SQS, TargetArn: !GetAtt Lost.Arn }
      LoggingConfig: { LogGroup: !Ref SweepLogs }
      Policies: [!Ref ReadDatabaseUrl]
      Events:
        Clock:
          Type: ScheduleV2
          Properties:
            DeadLetterConfig: { Arn: !GetAtt Lost.Arn }
        Route: { Type: HttpApi, Properties: { Path: /sweep } }
  SweepLogs:
    Type: AWS::Logs::LogGroup
    Properties:
      RetentionInDays: 7
  ReadDatabaseUrl:
    Type: AWS::IAM::ManagedPolicy
    Properties:
      PolicyDocument:
        Statement:
          - Effect: Allow
            Action: ssm:GetParameters
            Resource: !Sub arn:${AWS::Partition}:ssm:${AWS::Region}:parameter/kitloop/${Environment}/database_url
  Key:
    Type: AWS::KMS::Key
    Properties: { KeyPolicy: { Statement: [{ Effect: Allow, Action: kms:*, Resource: \"*\" }] } }
";

/// The alarm that such a function needs.
const ALARMS: &str = "
Resources:
  SweepErrorsAlarm:
    Type: AWS::CloudWatch::Alarm
    Properties:
      Namespace: AWS/Lambda
      MetricName: Errors
      Dimensions: [{ Name: FunctionName, Value: !Sub \"kitloop-${Environment}-sweep\" }]
      AlarmActions: [!Ref Topic]
";

fn findings(template: &str) -> Vec<String> {
    findings_with_alarms(template, ALARMS)
}

fn findings_with_alarms(template: &str, alarms: &str) -> Vec<String> {
    let [template, alarms] = [template, alarms].map(|text| Template::parse(text).unwrap());
    violations(&template, &alarms, &["sweep".to_owned()])
}

/// What is found when this part of the good template reads otherwise.
fn with(part: &str, otherwise: &str) -> Vec<String> {
    assert!(TEMPLATE.contains(part), "the template has no {part:?}");
    findings(&TEMPLATE.replace(part, otherwise))
}

#[test]
fn our_own_templates_keep_the_rules() {
    assert_eq!(check(), Ok(()));
}

/// `PublicConcurrency` and infra/README.md name these numbers, for whoever asks AWS or the database for room.
#[test]
fn ten_functions_share_a_limit_and_the_others_reserve_thirteen_runs() {
    let product = super::read("template.yaml").unwrap();
    let functions = product.functions();
    let limits = functions.iter().map(|it| it.property("ReservedConcurrentExecutions").unwrap());
    let (fixed, shared): (Vec<_>, Vec<_>) = limits.map(|limit| limit.as_u64()).partition(Option::is_some);
    assert_eq!((shared.len(), fixed.into_iter().flatten().sum::<u64>()), (10, 13));
}

#[test]
fn a_template_that_keeps_the_rules_is_no_finding() {
    assert_eq!(findings(TEMPLATE), Vec::<String>::new());
}

#[test]
fn a_parameter_without_a_description_is_found() {
    let expected = ["parameter Environment has no Description"];
    assert_eq!(with(", Description: Name of the deployment.", ""), expected);
}

#[test]
fn a_wildcard_in_an_action_is_found() {
    let expected = ["ReadDatabaseUrl allows \"ssm:*\" as Action"];
    assert_eq!(with("Action: ssm:GetParameters", "Action: ssm:*"), expected);
    assert_eq!(with("Action: ssm:GetParameters", "Action: [ssm:GetParameters, ssm:*]"), expected);
}

#[test]
fn a_wildcard_in_a_resource_is_found_behind_a_tag_too() {
    let resource = "Resource: !Sub arn:${AWS::Partition}:ssm:${AWS::Region}:parameter";
    let found = with(resource, "Resource: !Sub arn:${AWS::Partition}:ssm:*:parameter");
    let expected = [
        "ReadDatabaseUrl allows \"arn:${AWS::Partition}:ssm:*:parameter/kitloop/${Environment}/database_url\" \
          as Resource",
    ];
    assert_eq!(found, expected);
}

#[test]
fn all_but_some_actions_is_found() {
    let expected = ["ReadDatabaseUrl allows all but what NotAction names"];
    assert_eq!(with("Action: ssm:GetParameters", "NotAction: iam:PassRole"), expected);
}

#[test]
fn a_policy_that_is_not_in_the_template_is_found() {
    let found = with("[!Ref ReadDatabaseUrl]", "[!Ref ReadDatabaseUrl, AdministratorAccess]");
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with("SweepFunction has a policy of another kind"), "{found:?}");
}

#[test]
fn a_function_without_a_log_group_with_retention_is_found() {
    let expected = ["SweepFunction has no log group with RetentionInDays"];
    assert_eq!(with("{ LogGroup: !Ref SweepLogs }", "{ LogFormat: JSON }"), expected);
    assert_eq!(with("RetentionInDays: 7", "LogGroupName: sweep"), expected);
}

#[test]
fn a_function_without_a_timeout_or_that_is_told_another_is_found() {
    assert_eq!(with("    Timeout: 15\n", ""), ["SweepFunction has no Timeout"]);
    let expected = ["SweepFunction: FUNCTION_TIMEOUT_SECONDS is not its Timeout"];
    assert_eq!(with("    Timeout: 15\n", "    Timeout: 60\n"), expected);
}

#[test]
fn an_asynchronous_function_without_a_dead_letter_queue_is_found() {
    let queue = "      DeadLetterQueue: { Type: SQS, TargetArn: !GetAtt Lost.Arn }\n";
    assert_eq!(with(queue, ""), ["SweepFunction has no DeadLetterQueue"]);
    let of_event = "DeadLetterConfig: { Arn: !GetAtt Lost.Arn }";
    assert_eq!(with(of_event, "RetryPolicy: {}"), ["SweepFunction: event Clock has no DeadLetterConfig"]);
}

#[test]
fn a_topic_needs_no_dead_letter_queue_but_its_function_does() {
    let subscription = "Type: SNS\n          Properties:\n            Topic: !Ref Topic\n";
    let schedule =
        "Type: ScheduleV2\n          Properties:\n            DeadLetterConfig: { Arn: !GetAtt Lost.Arn }\n";
    assert_eq!(with(schedule, subscription), Vec::<String>::new());
    let without_queue = TEMPLATE.replace(schedule, subscription).replace("DeadLetterQueue:", "Queue:");
    assert_eq!(findings(&without_queue), ["SweepFunction has no DeadLetterQueue"]);
}

#[test]
fn a_scheduled_function_without_an_alarm_that_tells_somebody_is_found() {
    let expected = ["SweepFunction has no alarm on its errors"];
    for (part, otherwise) in [
        ("AlarmActions: [!Ref Topic]", "AlarmActions: []"),
        ("Type: AWS::CloudWatch::Alarm", "Type: AWS::CloudWatch::Alarm\n    Condition: IsGradual"),
    ] {
        assert!(ALARMS.contains(part));
        assert_eq!(findings_with_alarms(TEMPLATE, &ALARMS.replace(part, otherwise)), expected, "{part}");
    }
}

#[test]
fn a_function_whose_errors_no_alarm_counts_is_found() {
    let expected = ["SweepFunction has no alarm on its errors", "SweepFunction: no alarm counts its errors"];
    for (part, otherwise) in [
        ("MetricName: Errors", "MetricName: Duration"),
        ("kitloop-${Environment}-sweep", "kitloop-${Environment}-mop"),
    ] {
        assert_eq!(findings_with_alarms(TEMPLATE, &ALARMS.replace(part, otherwise)), expected, "{part}");
    }
    let by_hand = TEMPLATE
        .replace("        Clock:\n          Type: ScheduleV2\n", "        Clock:\n          Type: HttpApi\n");
    assert_eq!(findings_with_alarms(&by_hand, "Resources: {}"), expected[1..]);
}

#[test]
fn a_function_with_a_url_whose_throttles_no_alarm_counts_is_found() {
    let template = TEMPLATE.replace("      Policies:", "      FunctionUrlConfig: {}\n      Policies:");
    assert_eq!(findings(&template), ["SweepFunction: no alarm counts its throttles"]);
    let alarm = ALARMS.replace("SweepErrorsAlarm", "ThrottlesAlarm").replace("Errors", "Throttles");
    let alarms = ALARMS.to_owned() + alarm.trim_start_matches("\nResources:\n");
    assert_eq!(findings_with_alarms(&template, &alarms), Vec::<String>::new());
}

#[test]
fn a_scheduled_function_that_switches_in_steps_is_found() {
    let expected = ["SweepFunction does not switch at once"];
    assert_eq!(with("{ Enabled: false }", "{ Enabled: !Ref GradualDeployment }"), expected);
    assert_eq!(with("      DeploymentPreference: { Enabled: false }\n", ""), expected);
}

#[test]
fn a_parameter_that_is_in_no_group_or_in_two_is_found() {
    assert_eq!(
        with("Parameters: [Environment] }", "Parameters: [] }"),
        ["Environment is in 0 groups of parameters"]
    );
    let twice = "Parameters: [Environment, Environment] }";
    assert_eq!(with("Parameters: [Environment] }", twice), ["Environment is in 2 groups of parameters"]);
}

#[test]
fn a_secret_in_the_template_or_in_a_parameter_is_found() {
    let reference = "        DATABASE_URL: !Sub ssm:/kitloop/${Environment}/database_url\n";
    for plain in
        ["secret", "!Ref Environment", "!If [Is, !Sub \"ssm:/kitloop/${Environment}/database_url\", secret]"]
    {
        let found = with(reference, &format!("{reference}        CRON_SECRET: {plain}\n"));
        assert_eq!(found, ["SweepFunction: CRON_SECRET is not an ssm: reference"], "{plain}");
    }
}

#[test]
fn a_secret_that_is_left_out_by_a_condition_is_no_finding() {
    let reference = "!Sub ssm:/kitloop/${Environment}/database_url\nResources";
    let conditional =
        "!If [Is, !Ref AWS::NoValue, !Sub \"ssm:/kitloop/${Environment}/database_url\"]\nResources";
    assert_eq!(with(reference, conditional), Vec::<String>::new());
}

#[test]
fn a_function_may_read_the_secrets_that_it_is_given_and_no_others() {
    let expected = [
        "SweepFunction may not read database_url, which it is given",
        "SweepFunction may read cron_secret, which it is not given",
    ];
    assert_eq!(
        with(
            ":parameter/kitloop/${Environment}/database_url",
            ":parameter/kitloop/${Environment}/cron_secret"
        ),
        expected
    );
}

#[test]
fn a_folder_without_a_resource_and_a_resource_without_a_folder_are_found() {
    let expected = ["functions/sweep has 0 resources", "SweepFunction is no folder of functions/"];
    assert_eq!(with("Binary: sweep", "Binary: mop"), expected);
}
