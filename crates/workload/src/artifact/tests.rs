use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use blackfriday_registry::{OCI_IMAGE_MEDIA_TYPE, OciImageIndex, digest};

use super::*;

/// JSON in which a few bytes are others, missing or too many.
fn nearly(right: serde_json::Value) -> impl Strategy<Value = Vec<u8>> {
    let right = right.to_string().into_bytes();
    vec((any::<Index>(), 0..6_usize, "[ -~]{0,3}"), 0..4).prop_map(move |edits| {
        edits.into_iter().fold(right.clone(), |mut bytes, (at, gone, new)| {
            let from = at.index(bytes.len() + 1);
            let to = (from + gone).min(bytes.len());
            bytes.splice(from..to, new.bytes());
            bytes
        })
    })
}

fn index_of_one() -> serde_json::Value {
    let entry = json!({"mediaType": OCI_IMAGE_MEDIA_TYPE, "size": 2, "digest": digest::sha256("1"),
                       "artifactType": ARTIFACT_TYPE});
    json!({"schemaVersion": 2, "manifests": [entry]})
}

proptest! {
    #[test]
    fn any_manifest_has_a_file_that_may_be_asked_for_or_is_refused(
        bytes in nearly(json!(of(&Workload::black_friday()))),
    ) {
        names_what_may_be_asked_for_or_is_refused(&bytes);
    }

    #[test]
    fn any_index_has_a_manifest_that_may_be_asked_for_or_is_refused(bytes in nearly(index_of_one())) {
        names_what_may_be_asked_for_or_is_refused(&bytes);
    }
}

fn of(workload: &Workload) -> OciImageManifest {
    content(workload, Bytes::from_static(b"title")).manifest(&KIND)
}

#[test]
fn equal_workloads_have_equal_manifests() {
    let text = || serde_json::to_string(&of(&Workload::black_friday())).expect("JSON");
    assert_eq!(text(), text());
    assert!(text().contains("\"vnd.blackfriday.workload.seed\":\"17\"") && !text().contains("created"));
    assert_eq!(config(&Workload::black_friday())[..12], *b"{\"products\":");
}

#[test]
fn what_is_no_workload_is_told() {
    let right = of(&Workload::black_friday());
    assert!(KIND.files_of(&right).is_ok());
    let told = |change: &dyn Fn(&mut OciImageManifest)| {
        let mut wrong = right.clone();
        change(&mut wrong);
        KIND.files_of(&wrong).expect_err("no workload")
    };
    assert!(told(&|it| it.layers.clear()).contains("it has no layer"));
    assert!(told(&|it| it.layers[0].media_type = "text/plain".to_owned()).contains("text/plain"));
    assert!(told(&|it| it.layers.push(it.layers[0].clone())).starts_with("2 of its layers"));
    let image = told(&|it| {
        it.artifact_type = None;
        it.config.media_type = "application/vnd.docker.container.image.v1+json".to_owned();
        it.layers[0].media_type = "application/vnd.docker.image.rootfs.diff.tar.gzip".to_owned();
    });
    assert!(image.contains("of type application/vnd.docker.container.image.v1+json"), "{image}");
    assert!(told(&|it| it.layers[0].size = 1 << 40).contains("limit"));
    assert!(told(&|it| it.layers[0].size = -1).contains("limit"));
    assert!(told(&|it| it.layers[0].digest = "sha256:../../etc".to_owned()).contains("digest"));
}
/// A manifest as other tools write it, each with its own idea of configuration, annotations and order.
#[test]
fn what_other_tools_wrote_is_a_workload_by_its_layer() {
    let right = of(&Workload::black_friday());
    let other = OciDescriptor {
        media_type: "text/markdown".to_owned(),
        digest: digest::sha256("# Read me"),
        ..right.layers[0].clone()
    };
    let accepted = |change: &dyn Fn(&mut OciImageManifest)| {
        let mut manifest = right.clone();
        change(&mut manifest);
        assert_eq!(only(KIND.files_of(&manifest).expect("a workload")).digest, right.layers[0].digest);
    };
    let with_config =
        |it: &mut OciImageManifest, media_type: &str| media_type.clone_into(&mut it.config.media_type);
    accepted(&|it| with_config(it, "application/vnd.oci.empty.v1+json"));
    accepted(&|it| {
        with_config(it, "application/vnd.oci.empty.v1+json");
        it.artifact_type = Some("application/vnd.unknown.artifact.v1".to_owned());
    });
    accepted(&|it| {
        with_config(it, ARTIFACT_TYPE);
        it.artifact_type = None;
    });
    accepted(&|it| {
        with_config(it, "application/vnd.unknown.config.v1+json");
        (it.artifact_type, it.annotations, it.media_type) = (None, None, None);
    });
    accepted(&|it| it.artifact_type = None);
    accepted(&|it| it.layers.insert(0, other.clone()));
    accepted(&|it| it.layers.push(other.clone()));
}

#[test]
fn an_index_stands_for_its_one_manifest_of_ours() {
    let entry = |digest: &str, artifact_type: Option<&str>| {
        serde_json::json!({"mediaType": OCI_IMAGE_MEDIA_TYPE, "size": 2, "digest": digest,
                           "artifactType": artifact_type})
    };
    let index = |entries: &[serde_json::Value]| -> OciImageIndex {
        serde_json::from_value(json!({"schemaVersion": 2, "manifests": entries})).expect("an index")
    };
    let (one, two) = (digest::sha256("1"), digest::sha256("2"));
    assert_eq!(KIND.manifest_of(&index(&[entry(&one, None)])), Ok(one.clone()));
    let marked = [entry(&one, Some("application/x")), entry(&two, Some(ARTIFACT_TYPE))];
    assert_eq!(KIND.manifest_of(&index(&marked)), Ok(two.clone()));
    for (entries, told) in [
        (vec![], "an index of 0 manifests"),
        (vec![entry(&one, None), entry(&two, None)], "an index of 2 manifests"),
        (vec![entry(&one, Some(ARTIFACT_TYPE)), entry(&two, Some(ARTIFACT_TYPE))], "an index with 2"),
        (vec![entry("sha256:../x", None)], "the digest sha256:../x"),
    ] {
        let error = KIND.manifest_of(&index(&entries)).expect_err(told);
        assert!(error.contains(told), "{error}");
    }
}
