drop function kitloop.adjust_credits(text, uuid, bigint, text, text);
drop function kitloop.credits(uuid, bigint, integer);
drop function kitloop.enter_credits(uuid, bigint, text, text, uuid, text);
drop function kitloop.lock_credit_account(uuid);
drop table public.credit_ledger;
drop table public.credit_accounts;
