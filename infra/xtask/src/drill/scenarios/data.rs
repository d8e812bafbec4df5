//! Data are lost.

use anyhow::{Result, ensure};

use crate::demo::scene::Wish;
use crate::drill::stage::Stage;

pub(super) async fn are_lost(stage: &mut Stage<'_>) -> Result<()> {
    let backup = stage.file("kitloop.dump");
    stage.know("BACKUP", &backup)?;
    let printed = stage.operator("backup").await?;
    stage.must_print(&printed, "every table came out the same, every invariant holds")?;
    let before = stage.ops("counts").await?;

    stage.database("fate", "drops a table", "drop table public.reservation_lines cascade").await?;
    reserve(stage, 500, "internal_error").await?;
    stage.operator("stop").await?;
    let stopped = stage.scene.http.get(format!("{}/ready", stage.scene.file.base_url)).send().await?;
    ensure!(!stopped.status().is_success(), "the functions still answer");
    stage.operator("restore").await?;
    stage.operator("restored").await?;
    let after = stage.ops("counts").await?;
    ensure!(after == before, "there were {before}, and now there are {after}");
    reserve(stage, 201, "hold").await?;
    stage.is_ready().await
}

/// Somebody reserves, and is answered so.
async fn reserve(stage: &mut Stage<'_>, status: u16, word: &str) -> Result<()> {
    let (tomas, window) = (stage.scene.tomas.clone(), stage.scene.window()?);
    let gear = stage.scene.gear("Ice axe")?;
    let provider = stage.scene.file.provider_id.to_string();
    let wish = Wish { provider: &provider, lines: &[(&gear, 1)], window: &window };
    stage.scene.ask(&tomas, "reserves an ice axe", &wish).await?.expect(status, word).map(drop)
}
