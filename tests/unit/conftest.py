"""Fixtures that unit tests of several packages share."""

import hashlib

import pytest


@pytest.fixture
def tiny_sam():
    """A function of nothing much: SAM in small, of the official package's own classes, with random weights. Images of
    64 px, embeddings of 4 x 4 x 32."""
    from segment_anything.modeling import ImageEncoderViT, MaskDecoder, PromptEncoder, TwoWayTransformer
    from segment_anything.modeling import Sam as Network

    image, wide = 64, 32

    def build(_kind="tiny", checkpoint=None):
        grid = image // 16
        encoder = ImageEncoderViT(
            depth=1, embed_dim=16, img_size=image, num_heads=2, patch_size=16, out_chans=wide, use_rel_pos=True,
            window_size=0, global_attn_indexes=[0],
        )  # fmt: skip
        prompts = PromptEncoder(
            embed_dim=wide, image_embedding_size=(grid, grid), input_image_size=(image, image), mask_in_chans=4
        )
        decoder = MaskDecoder(
            num_multimask_outputs=3,
            transformer=TwoWayTransformer(depth=1, embedding_dim=wide, mlp_dim=32, num_heads=2),
            transformer_dim=wide,
            iou_head_depth=2,
            iou_head_hidden_dim=16,
        )
        return Network(encoder, prompts, decoder).eval()

    return build


@pytest.fixture
def sam_checkpoint(tmp_path, monkeypatch, tiny_sam):
    """The checkpoint of a tiny SAM, set as a person would set theirs; the official registry knows its type."""
    import torch
    from segment_anything import sam_model_registry

    torch.manual_seed(7)
    path = tmp_path / "tiny.pth"
    torch.save(tiny_sam().state_dict(), path)
    monkeypatch.setenv("FLYONCE_SAM_CHECKPOINT", str(path))
    monkeypatch.setenv("FLYONCE_SAM_SHA256", hashlib.sha256(path.read_bytes()).hexdigest())
    monkeypatch.setenv("FLYONCE_SAM_TYPE", "tiny")
    monkeypatch.setitem(sam_model_registry, "tiny", tiny_sam)
    return path
