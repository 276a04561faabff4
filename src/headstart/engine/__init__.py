"""Run held blocks fast: OpenVINO on a CPU, torch.compile on a GPU, eager PyTorch where neither can."""
