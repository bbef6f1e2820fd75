"""Hands-on practice that marks itself: implement, diagnose, improve, each a room of its own.

`crosscheck practice` lays a folder out and marks it; what stands here is the plumbing that the parts share.
"""
