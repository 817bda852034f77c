"""Stands in for google-research/scenic where it is not installed: the interfaces the project meets.

Names, signatures and calls are Scenic's (commit 0cce82d of its base_model.py, 0820cbf of its
dataset_utils.py and app.py, 558a68b of its train_utils.py); test_scenic.py compares them with the
real ones where those are installed.
"""
