-- Jobs that customers pay for with credits: held when the job is made, spent when it succeeds, back when it fails.

-- Enters into the ledger what becomes of a job's credits: hold, consume or release. The second time that they are held,
-- because an operator has the job run again, the keys are numbered.
-- Outcomes: entered; replayed, insufficient_credits. The caller holds the job. Locks: the account.
create function kitloop.enter_job_credits(p_job public.jobs, p_entry_type text) returns text
language sql set search_path = pg_catalog, pg_temp as $$
    select kitloop.enter_credits(
        p_job.customer_id,
        case p_entry_type when 'hold' then -p_job.credits when 'release' then p_job.credits else 0 end,
        p_entry_type,
        'job:' || p_job.id || ':' || p_entry_type
            || case when p_job.hold_number > 1 then ':' || p_job.hold_number else '' end,
        p_job.id
    )
$$;

-- What a customer is told of a paid job: {job_id, kind, status, credits_held, attempts, idempotent_replay, result?,
-- last_error?}.
create function kitloop.job_document(p_job public.jobs) returns jsonb
language sql stable set search_path = pg_catalog, pg_temp as $$
    select jsonb_build_object(
        'job_id', p_job.id, 'kind', p_job.kind, 'status', p_job.status,
        'credits_held', case when p_job.status in ('queued', 'running') then p_job.credits else 0 end,
        'attempts', p_job.attempts, 'idempotent_replay', p_job.is_replayed
    )
    || case when p_job.result is null then '{}' else jsonb_build_object('result', p_job.result) end
    || case when p_job.last_error is null then '{}' else jsonb_build_object('last_error', p_job.last_error) end
$$;

-- Decides on a paid job, and makes it with its credits held. Only who works for a shop has jobs done for it.
-- Outcomes: created; provider_not_found, forbidden, insufficient_credits. Locks, in order: customer, account.
create function kitloop.take_job(
    p_user_id uuid, p_profile jsonb, p_kind text, p_credits bigint, p_max_attempts integer, p_provider_id uuid,
    p_input jsonb,
    out outcome text, out answer jsonb
)
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
    v_customer_id uuid;
    v_account public.credit_accounts;
    v_job public.jobs;
begin
    if p_provider_id is not null and not kitloop.is_member(p_provider_id, p_user_id) then
        outcome := case
            when exists (select from public.providers p where p.id = p_provider_id) then 'forbidden'
            else 'provider_not_found'
        end;
        return;
    end if;
    v_customer_id := kitloop.lock_customer(p_user_id, p_profile);
    v_account := kitloop.lock_credit_account(v_customer_id);
    if v_account.balance < p_credits then
        outcome := 'insufficient_credits';
        answer := jsonb_build_object('balance', v_account.balance, 'credits', p_credits);
        return;
    end if;
    insert into public.jobs (kind, customer_id, provider_id, credits, input, max_attempts, run_after)
    values (p_kind, v_customer_id, p_provider_id, p_credits, p_input, p_max_attempts, clock_timestamp())
    returning * into v_job;
    perform kitloop.enter_job_credits(v_job, 'hold');
    outcome := 'created';
    answer := kitloop.job_document(v_job);
end
$$;

-- The operation: idempotency around take_job. Who has too few credits buys some and asks again, with the same key: that
-- refusal is not kept.
-- Outcomes: created; provider_not_found, forbidden, insufficient_credits, idempotency_key_reused, request_in_flight.
-- Locks, in order: idempotency row, customer, account; of a replay: idempotency row, job.
create function kitloop.create_job(
    p_caller text, p_idempotency_key text, p_request_hash text, p_user_id uuid, p_profile jsonb, p_kind text,
    p_credits bigint, p_max_attempts integer, p_provider_id uuid, p_input jsonb,
    out outcome text, out replayed boolean, out answer jsonb
)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    select not c.is_claimed, c.outcome, c.answer into replayed, outcome, answer
    from kitloop.claim_idempotency_key(p_caller, 'create_job', p_idempotency_key, p_request_hash) c;
    if not replayed then
        select t.outcome, t.answer into outcome, answer
        from kitloop.take_job(p_user_id, p_profile, p_kind, p_credits, p_max_attempts, p_provider_id, p_input) t;
        if outcome = 'insufficient_credits' then
            delete from public.idempotency_keys k
            where k.caller = p_caller and k.operation = 'create_job' and k.key = p_idempotency_key;
        else
            perform kitloop.store_answer(p_caller, 'create_job', p_idempotency_key, outcome, answer);
        end if;
    elsif outcome = 'created' then
        update public.jobs j set is_replayed = true where j.id = (answer ->> 'job_id')::uuid and not j.is_replayed;
        answer := answer || '{"idempotent_replay": true}';
    end if;
end
$$;

-- The operation: where a paid job stands; null for a job that is not the user's own. What was made for a shop is shown to
-- those who work there still.
create function kitloop.get_job(p_user_id uuid, p_job_id uuid) returns jsonb
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
    select case
        when j.provider_id is null or kitloop.is_member(j.provider_id, p_user_id) then kitloop.job_document(j)
        else kitloop.job_document(j) - 'result'
    end
    from public.jobs j
    join public.customers c on c.id = j.customer_id
    where j.id = p_job_id and c.user_id = p_user_id
$$;

-- The operation: a paid job is done, and its credits are spent.
-- Outcomes: finished, fenced. Locks, in order: job, account.
create function kitloop.finish_paid_job(
    p_job_id uuid, p_fencing_token bigint, p_result jsonb, out outcome text
)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    v_job public.jobs;
begin
    update public.jobs j
    set status = 'succeeded', lease_until = null, last_error = null, result = p_result, finished_at = clock_timestamp()
    where j.id = p_job_id and j.fencing_token = p_fencing_token and j.status = 'running'
    returning * into v_job;
    if not found then
        outcome := 'fenced';
        return;
    end if;
    perform kitloop.enter_job_credits(v_job, 'consume');
    outcome := 'finished';
end
$$;

grant execute on function kitloop.create_job(
    text, text, text, uuid, jsonb, text, bigint, integer, uuid, jsonb
) to kitloop_app;
grant execute on function kitloop.get_job(uuid, uuid) to kitloop_app;
grant execute on function kitloop.finish_paid_job(uuid, bigint, jsonb) to kitloop_app;
