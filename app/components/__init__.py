"""Pieces that pages share: the gallery, the card that explains a label, badges and bars."""
