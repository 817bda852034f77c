"""From media to faces: safe decoding of pictures, landmarks, and faces drawn by code."""
