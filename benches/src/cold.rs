//! Figure 1: an upload's event until the first instruction of the script in a new container.

use anyhow::Result;
use spillway_testkit::ServiceSpec;

use crate::floors::{self, Recipe};
use crate::report::{Bound, Row};
use crate::runc::Bundle;
use crate::samples::Samples;
use crate::stage::Stage;
use crate::warm;

pub(crate) async fn measure(stage: &mut Stage) -> Result<Vec<Row>> {
    let service = ServiceSpec::new("bench-cold", &warm::script())
        .with("edge.reuse", false)
        .with("cpu", "1");
    stage.cluster.apply(&service).await?;
    let count = stage.few();
    let out = stage.folder("cold")?;
    let holder = floors::holder(stage).await?;
    let bundle = Bundle::make(stage).await?;
    let (mut script, mut visible) = (Samples::default(), Samples::default());
    let (mut default, mut whole) = (Samples::default(), Samples::default());
    let (mut joined, mut runc) = (Samples::default(), Samples::default());
    // In turn, so that whatever else the machine does meets all of them.
    for number in 0..count {
        let trip = warm::trip(stage, "bench-cold", number, 64).await?;
        script.push(trip.answered_to_script);
        visible.push(trip.answered_to_visible);
        let life = floors::live(stage, &Recipe::Default, &out).await?;
        default.push(life.to_script);
        whole.push(life.whole);
        joined.push(
            floors::live(stage, &Recipe::Joined(holder.clone()), &out)
                .await?
                .to_script,
        );
        runc.push(bundle.time_to_script(number)?);
    }
    floors::remove(stage, &holder).await?;
    stage.cluster.delete_service("bench-cold").await?;
    let to_script = "upload acknowledged → script, new container";
    Ok(vec![
        Row::new("1.cold.script", 1, to_script, "ms", &script)
            .against("Docker default create + start", &default)
            .aiming_at(Bound::Times(0.5), Some(Bound::Times(0.4))),
        Row::new("1.cold.script.joined", 1, to_script, "ms", &script)
            .against("Docker joined create + start", &joined),
        Row::new("1.cold.script.runc", 1, to_script, "ms", &script)
            .against("runc run, Docker's seccomp profile", &runc)
            .dreaming_of(Bound::Times(1.7)),
        Row::new(
            "1.cold.visible",
            1,
            "upload acknowledged → output visible, new container",
            "ms",
            &visible,
        )
        .against("Docker default create + start + wait + remove", &whole),
    ])
}
