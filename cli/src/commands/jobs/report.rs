//! `jobs show`: where the milliseconds of one job went.

use std::fmt::{self, Write};

use spillway_model::report::{JobReport, JobState};

use super::state_word;
use crate::client::Client;
use crate::commands::Context;
use crate::screen::{Format, Rows, units};

/// Shows one job.
pub(in crate::commands) async fn show(
    context: &Context<'_>,
    client: &Client,
    name: &str,
) -> anyhow::Result<()> {
    let job = client.job(name).await?;
    if context.screen.format() == Format::Table && !context.screen.quiet() {
        return Ok(context.screen.text(&text(&job)?)?);
    }
    context.screen.show(&job, || {
        let mut rows = Rows::new(&["NAME", "STATE"], "");
        rows.row([job.name.clone(), state_word(&job).into()]);
        rows
    })
}

/// A job in words and numbers.
pub(in crate::commands) fn text(job: &JobReport) -> Result<String, fmt::Error> {
    let mut text = String::new();
    writeln!(text, "Job       {}", job.name)?;
    writeln!(text, "Service   {}", job.service)?;
    let node = if job.node.is_empty() {
        String::new()
    } else {
        format!(" on {}", job.node)
    };
    writeln!(
        text,
        "State     {}, attempt {}{node}",
        state_word(job),
        job.attempt
    )?;
    if let Some(input) = &job.input {
        writeln!(
            text,
            "Input     {} ({})",
            input.path,
            units::bytes(input.size)
        )?;
    }
    writeln!(text, "Event     {}", job.event)?;
    writeln!(text, "Accepted  {}", job.created_at)?;
    if let Some(ready) = job.ready_at.filter(|_| job.state == JobState::Queued) {
        writeln!(text, "Next try  {ready}")?;
    }
    if job.failures + job.interruptions > 0 {
        writeln!(
            text,
            "Troubles  {} failures, {} interruptions by nodes",
            job.failures, job.interruptions
        )?;
    }
    if !job.reason.is_empty() || !job.message.is_empty() {
        writeln!(text, "Reason    {}: {}", job.reason, job.message)?;
    }
    if let Some(finished) = job.finished_at {
        times(&mut text, job, units::between(job.created_at, finished))?;
    }
    Ok(text)
}

fn times(text: &mut String, job: &JobReport, total: u64) -> fmt::Result {
    let spans = &job.spans;
    let parts = [
        ("queued", job.queued_us),
        (
            if spans.warm {
                "container (warm)"
            } else {
                "container (cold)"
            },
            spans.container_us,
        ),
        ("stage in", spans.stage_in_us),
        ("run", spans.run_us),
        ("stage out", spans.stage_out_us),
    ];
    let known = parts.iter().map(|(_, time)| time).sum::<u64>();
    writeln!(text, "\nWhere the time of the last attempt went:")?;
    for (name, time) in parts {
        writeln!(text, "  {name:<18} {:>12}", units::duration(time))?;
    }
    if job.failures + job.interruptions == 0 {
        writeln!(
            text,
            "  {:<18} {:>12}",
            "between the parts",
            units::duration(total.saturating_sub(known))
        )?;
    }
    writeln!(text, "  {:<18} {:>12}", "total", units::duration(total))?;
    let usage = &job.usage;
    let memory = if usage.peak_memory_bytes == 0 {
        "not known".into()
    } else {
        units::bytes(usage.peak_memory_bytes)
    };
    writeln!(
        text,
        "\nIt took {} of CPU time, at most {} of memory; {} came in and {} went out.",
        units::duration(usage.cpu_us),
        memory.as_str(),
        units::bytes(usage.input_bytes),
        units::bytes(usage.output_bytes),
    )
}

#[cfg(test)]
mod tests;
