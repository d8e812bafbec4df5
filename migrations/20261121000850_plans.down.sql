drop function kitloop.apply_subscription(jsonb);
drop function kitloop.choose_plan(uuid);
drop function kitloop.write_subscription_fact(uuid, jsonb);
drop table public.provider_subscriptions;
drop function kitloop.is_subscription_over(text);
drop function kitloop.is_plan_active(public.providers, timestamptz);
