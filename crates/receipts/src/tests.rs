use super::*;

const CONTENT: &str = "5f0c71a2b9d3e846";

fn content() -> Option<Content> {
    Some(CONTENT.parse().expect("a hash"))
}

#[tokio::test]
async fn what_is_written_is_read_back_and_a_cut_line_is_left_out() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("receipts");
    let ids: Vec<_> = (0..1000).map(|_| Uuid::now_v7()).collect();
    let writer = Writer::create(&path, &serde_json::json!({"seed": 17})).expect("creates");
    let mut pen = writer.pen();
    for id in &ids {
        pen.accepted(*id, content());
        pen.hand_over_some().await.expect("takes");
    }
    pen.unknown(Some(ids[1]), content());
    pen.unknown(None, content());
    pen.weather(ids[2], None);
    pen.refused(Some(ids[3]), 503, content());
    pen.refused(None, 422, content());
    pen.hand_over().await.expect("takes");
    drop(pen);
    tokio::task::spawn_blocking(|| writer.finish()).await.expect("ends").expect("writes");
    let mut text = std::fs::read_to_string(&path).expect("reads");
    assert!(text.starts_with("# blackfriday receipts 2 {\"seed\":17}\n+ "), "{text}");
    text.push_str("+ 019aa3c5-7e10");
    std::fs::write(&path, text).expect("writes");
    let mut receipts = Receipts::default();
    receipts.read(&path).expect("reads");
    let receipt = |id| Receipt { id, content: content() };
    let expected = Receipts {
        weather: vec![Receipt { id: ids[2], content: None }],
        unknown: vec![receipt(ids[1])],
        unnamed: vec![content()],
        refused: vec![Refusal { receipt: receipt(ids[3]), status: 503 }],
        refused_unnamed: vec![content()],
        sales: ids.into_iter().map(receipt).collect(),
    };
    assert_eq!(receipts, expected);
}

#[test]
fn a_file_of_the_first_version_is_still_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("receipts");
    let id = Uuid::now_v7();
    std::fs::write(&path, format!("# blackfriday receipts 1 {{}}\n+ {id}\nw {id}\n? {id}\n? -\n"))
        .expect("writes");
    let mut receipts = Receipts::default();
    receipts.read(&path).expect("reads");
    let one = vec![Receipt { id, content: None }];
    assert_eq!((&receipts.sales, &receipts.weather, &receipts.unknown), (&one, &one, &one));
    assert_eq!(receipts.unnamed, [None]);
}

#[test]
fn what_is_no_receipts_file_is_refused_and_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("receipts");
    let (head, id) = ("# blackfriday receipts 2 {}\n", Uuid::nil());
    for (text, told) in [
        (String::new(), "does not begin with"),
        ("+ x\n".to_owned(), "does not begin with"),
        ("# blackfriday receipts 2".to_owned(), "does not begin with"),
        ("# blackfriday receipts 3 {}\n".to_owned(), "they are of version 3, and this program reads 1 to 2"),
        (format!("{head}+ nonsense\n"), "line 2: no identity"),
        (format!("{head}+ -\n"), "an acknowledgement without an identity"),
        (format!("{head}z {id}\n"), "no receipt"),
        (format!("{head}+ {id} 12\n"), "no hash of an event"),
        (format!("{head}+ {id} +f0c71a2b9d3e846\n"), "no hash of an event"),
        (format!("{head}- {id}\n"), "no receipt"),
        (format!("{head}- {id} often\n"), "no status"),
        (format!("{head}+ {id} {CONTENT} more\n"), "no receipt"),
    ] {
        std::fs::write(&path, &text).expect("writes");
        let error = Receipts::default().read(&path).expect_err(&text);
        assert_eq!(blackfriday_terminal::failure::exit_code(&error, &[]), 64, "{error:#}");
        assert!(format!("{error:#}").contains(told), "{text}: {error:#}");
    }
}
