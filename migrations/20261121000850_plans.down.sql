drop function kitloop.apply_subscription(jsonb);
drop function kitloop.is_subscription_stale(public.providers, text, text, timestamptz);
drop function kitloop.is_subscription_over(text);
drop function kitloop.is_plan_active(public.providers, timestamptz);
