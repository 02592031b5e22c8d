from posologie.records.items import ancestors, descent, document_descent, published, text_hash


def test_a_text_hash_is_the_same_whatever_the_blanks_and_the_order_of_options():
    expected = text_hash("Which  drug?", "", ("Aspirin", "Heparin"))
    assert expected == text_hash(" Which drug? ", "", ("Heparin", "Aspirin"))
    assert expected != text_hash("Which drug?", "", ("Aspirin", "Warfarin"))
    assert expected != text_hash("Which drugs?", "", ("Aspirin", "Heparin"))


def test_what_is_made_from_an_item_names_it_and_all_that_it_was_made_from():
    first = {"source": "MedMCQA", "id": "MedMCQA:5"}
    lineage = descent({"lineage": [first]}, "english", "i1", ("Which?", "", ("a", "b")))
    assert lineage == [first, {"source": "english", "id": "i1", "text_hash": text_hash("Which?", "", ("a", "b"))}]
    again = descent({"lineage": lineage}, "french", "i2", ("Lequel ?", "", ("a", "b")))
    assert again[:2] == lineage
    assert ancestors({"lineage": again}) >= {"MedMCQA:5", "i1", "i2", text_hash("Which?", "", ("a", "b"))}


def test_what_is_written_from_a_document_names_it():
    document = {"id": "d1", "collection": "cases", "title": "T", "text": "A case.", "group": "g"}
    assert document_descent(document) == [
        {"source": "cases", "document": "d1", "text_hash": text_hash("T", "A case.", ())}
    ]


def test_records_of_a_data_set_with_ids_have_their_name_there_in_every_language():
    assert published({"origin": "MedMCQA", "native_id": "x-1"}) == [{"source": "MedMCQA", "id": "MedMCQA:x-1"}]
    assert published({"origin": "MedMCQA"}) == published({"origin": ["MedMCQA"], "native_id": "1"}) == []
    assert published({"origin": "own", "native_id": "1"}) == []


def test_items_of_before_lineage_was_written_still_name_their_original():
    assert ancestors({"translated_from": "i1"}) == {"i1"}
