"""The portal's words in the list of recommended actions that it exports, which is in the portal's language.

No source gives the words of every language (Microsoft Graph §1.9), so several are accepted where translators have a
choice. A file with other headings is refused with a list of both; another status is reported.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from shared.recommendations.files.tables import folded
from shared.recommendations.model import ActionStatus
from shared.recommendations.products import PRODUCTS

TITLE: Final = (
    *("Recommended action", "Improvement action", "Recommended actions"),
    *("Empfohlene Aktion", "Empfohlene Maßnahme", "Verbesserungsaktion", "Verbesserungsmaßnahme"),
    *(
        "推奨される操作",
        "推奨されるアクション",
        "推奨アクション",
        "推奨事項",
        "推奨される対処",
        "改善のための処置",
        "改善アクション",
    ),
    *("Action recommandée", "Action d’amélioration", "Acción recomendada", "Acción de mejora"),
    *("Azione consigliata", "Azione di miglioramento", "Ação recomendada", "Ação de melhoria", "Aanbevolen actie"),
    *("Zalecana akcja", "Rekommenderad åtgärd", "Doporučená akce", "Önerilen eylem"),
    *(
        "Рекомендуемое действие",
        "权限操作",
        "建议的操作",
        "建议操作",
        "建議的動作",
        "建議動作",
        "권장 작업",
        "권장 조치",
    ),
)
POINTS: Final = (
    *("Points achieved", "Points", "Erreichte Punkte", "Erzielte Punkte", "Erreichte Punktzahl"),
    *("達成したポイント", "獲得したポイント", "獲得ポイント", "達成ポイント", "取得したポイント", "取得済みポイント"),
    *("Points obtenus", "Points atteints", "Points acquis", "Puntos conseguidos", "Puntos obtenidos"),
    *("Puntos alcanzados", "Punti ottenuti", "Punti raggiunti", "Pontos alcançados", "Pontos obtidos"),
    *("Pontos atingidos", "Behaalde punten", "Uzyskane punkty", "Osiągnięte punkty", "Uppnådda poäng"),
    *("Dosažené body", "Získané body", "Elde edilen puanlar", "Набранные баллы", "Полученные баллы"),
    *("获得的分数", "已获得的分数", "已获得分数", "達成的分數", "已達成的分數", "달성한 점수", "획득한 점수"),
)
STATUS: Final = (
    *("Status", "Zustand", "状態", "ステータス", "État", "Statut", "Estado", "Stato", "Stan", "Stav", "Durum"),
    *("Состояние", "Статус", "状态", "狀態", "상태"),
)
CATEGORY: Final = (
    *("Category", "Kategorie", "カテゴリ", "カテゴリー", "Catégorie", "Categoría", "Categoria", "Categorie"),
    *("Kategoria", "Kategori", "Категория", "类别", "類別", "범주"),
)
PRODUCT: Final = (
    *(
        "Product",
        "Produkt",
        "製品",
        "Produit",
        "Producto",
        "Prodotto",
        "Produto",
        "Ürün",
        "Продукт",
        "产品",
        "產品",
        "제품",
    ),
)
RANK: Final = (
    *("Rank", "Rang", "ランク", "順位", "Classement", "Clasificación", "Rango", "Classifica", "Posizione"),
    *("Classificação", "Rangschikking", "Ranga", "Rangordning", "Pořadí", "Sıra", "Ранг", "排名", "排名次序", "순위"),
)
LICENCE: Final = (
    *("Have license?", "Have licence?", "Lizenz vorhanden?", "Haben Sie eine Lizenz?", "Besitzen Sie eine Lizenz?"),
    *(
        "ライセンスをお持ちですか?",
        "ライセンスはありますか?",
        "ライセンスがありますか?",
        "ライセンスの有無",
        "ライセンス",
    ),
    *("Avez-vous une licence ?", "Licence disponible ?", "¿Tiene licencia?", "¿Tiene una licencia?"),
    *(
        "Licenza disponibile?",
        "Hai una licenza?",
        "Tem licença?",
        "Possui licença?",
        "Licentie?",
        "Hebt u een licentie?",
    ),
)

_STATUSES: Final[Mapping[ActionStatus, Sequence[str]]] = {
    ActionStatus.TO_ADDRESS: (
        *("To address", "Not completed", "Zu behandeln", "Zu bearbeiten", "Zu beheben", "Zu erledigen", "Offen"),
        *("対処する", "対処が必要", "要対処", "対処予定", "対応が必要", "要対応", "対処待ち", "未対応"),
        *("À traiter", "À résoudre", "Para solucionar", "Por solucionar", "Por abordar", "Para abordar", "Pendiente"),
        *(
            "Da risolvere",
            "Da gestire",
            "Da affrontare",
            "A resolver",
            "Para resolver",
            "A ser resolvido",
            "Op te lossen",
        ),
        *("Aan te pakken", "待处理", "要解决", "待處理", "要解決", "해결 필요", "해결할 항목"),
    ),
    ActionStatus.PLANNED: (
        *(
            "Planned",
            "Geplant",
            "計画済み",
            "計画中",
            "予定",
            "予定済み",
            "Planifié",
            "Planifiée",
            "Planeado",
            "Planeada",
        ),
        *(
            "Planificado",
            "Planificada",
            "Pianificato",
            "Pianificata",
            "Planejado",
            "Planejada",
            "Planejados",
            "Gepland",
        ),
        *(
            "Zaplanowane",
            "Planerad",
            "Plánováno",
            "Planlandı",
            "Запланировано",
            "已计划",
            "计划",
            "已規劃",
            "已計劃",
            "계획됨",
        ),
    ),
    ActionStatus.RISK_ACCEPTED: (
        *("Risk accepted", "Accepted risk", "Ignored", "Risiko akzeptiert", "Akzeptiertes Risiko"),
        *(
            "リスクを受容",
            "リスク受容済み",
            "リスクの受け入れ",
            "リスクを受け入れました",
            "リスク許容済み",
            "リスク承認済み",
            "受容済みリスク",
        ),
        *(
            "Risque accepté",
            "Riesgo aceptado",
            "Rischio accettato",
            "Risco aceito",
            "Risco aceite",
            "Risico geaccepteerd",
        ),
        *("Ryzyko zaakceptowane", "Zaakceptowano ryzyko", "Accepterad risk", "Риск принят", "已接受风险", "风险已接受"),
        *("已接受風險", "風險已接受", "위험 수락됨", "위험 허용됨"),
    ),
    ActionStatus.THIRD_PARTY: (
        *("Resolved through third party", "Resolved through third-party", "Third party"),
        *("Durch Drittanbieter gelöst", "Durch Drittanbieter behoben", "Über Drittanbieter gelöst"),
        *("Über Drittanbieter behoben", "Von Drittanbieter gelöst", "Durch Dritte gelöst"),
        *(
            "サードパーティによって解決済み",
            "サードパーティを通じて解決済み",
            "サードパーティにより解決済み",
            "サードパーティで解決済み",
        ),
        *("サードパーティを通じて解決", "Résolu par un tiers", "Résolu via un tiers", "Résolu par le biais d’un tiers"),
        *(
            "Resuelto a través de terceros",
            "Resuelto por terceros",
            "Risolto tramite terze parti",
            "Resolvido por terceiros",
        ),
        *(
            "Resolvido por meio de terceiros",
            "Opgelost via derden",
            "Opgelost door derden",
            "已通过第三方解决",
            "已透過協力廠商解決",
        ),
    ),
    ActionStatus.ALTERNATE_MITIGATION: (
        *("Resolved through alternate mitigation", "Resolved through alternative mitigation", "Alternate mitigation"),
        *("Durch alternative Risikominderung gelöst", "Durch alternative Risikominderung behoben"),
        *(
            "Durch alternative Maßnahme gelöst",
            "Durch alternative Entschärfung gelöst",
            "Durch alternative Abhilfe gelöst",
        ),
        *(
            "代替の軽減策によって解決済み",
            "代替の軽減策を通じて解決済み",
            "代替の軽減策により解決済み",
            "代替軽減策により解決済み",
        ),
        *(
            "代替リスク軽減策を通じて解決",
            "Résolu par une atténuation alternative",
            "Résolu via une atténuation alternative",
        ),
        *("Resuelto mediante mitigación alternativa", "Resuelto a través de mitigación alternativa"),
        *("Risolto tramite mitigazione alternativa", "Resolvido por mitigação alternativa"),
        *("Resolvido por meio de mitigação alternativa", "Opgelost via alternatieve oplossing"),
        *("已通过备用缓解措施解决", "已透過替代緩解措施解決"),
    ),
    ActionStatus.COMPLETED: (
        *(
            "Completed",
            "Abgeschlossen",
            "Erledigt",
            "完了",
            "完了済み",
            "完了しました",
            "Terminé",
            "Terminée",
            "Effectué",
        ),
        *("Completado", "Completada", "Completato", "Completata", "Concluído", "Concluída", "Voltooid", "Ukończone"),
        *("Zakończone", "Slutförd", "Slutfört", "Dokončeno", "Tamamlandı", "Завершено", "已完成", "완료됨", "완료"),
    ),
}
_STATUS_OF: Final = {folded(word): status for status, words in _STATUSES.items() for word in words}
_YES: Final = frozenset(
    map(
        folded,
        ("Yes", "Ja", "はい", "あり", "有", "Oui", "Sí", "Sì", "Sim", "Tak", "Ano", "Evet", "Да", "是", "예", "True"),
    )
)
_NO: Final = frozenset(
    map(
        folded,
        (
            "No",
            "Nein",
            "いいえ",
            "なし",
            "無",
            "Non",
            "Não",
            "Nee",
            "Nie",
            "Nej",
            "Ne",
            "Hayır",
            "Нет",
            "否",
            "아니요",
            "False",
        ),
    )
)

_OTHER_NAMES: Final[Mapping[str, Sequence[str]]] = {
    "AzureAD": ("Azure Active Directory", "Azure AD", "Entra ID"),
    "Azure ATP": ("Defender for Identity", "Azure Advanced Threat Protection"),
    "MDO": ("Defender for Office 365", "Defender for Office", "Microsoft Defender for Office"),
    "MDATP": ("Defender for Endpoint",),
    "MCAS": ("Defender for Cloud Apps", "Microsoft Cloud App Security"),
    "EXO": ("Microsoft Exchange Online",),
    "SPO": ("Microsoft SharePoint Online", "SharePoint"),
    "MS Teams": ("Teams",),
    "MIP": ("Microsoft Information Protection", "Information Protection"),
    "AppG": ("Microsoft App governance",),
    "Admincenter": ("Admin center",),
}
"""Names beside those of :data:`PRODUCTS`."""
_PRODUCT_OF: Final = {
    folded(name): folded(PRODUCTS[code])
    for code in PRODUCTS
    for name in (code, PRODUCTS[code], *_OTHER_NAMES.get(code, ()))
}
_CONNECTED_APP: Final = "mda"
"""Begins the code of an app that is connected to Defender for Cloud Apps, as in ``MDA_GitHub``."""


def status_of(word: str) -> ActionStatus | None:
    """Return the status that a word of the portal stands for; None for a word that we do not know."""
    return _STATUS_OF.get(folded(word))


def licence_of(word: str) -> bool | None:
    """Return whether a word means yes; None if it means neither yes nor no."""
    plain = folded(word)
    return True if plain in _YES else False if plain in _NO else None


def product_key(product: str) -> str:
    """Return the same key for a product's names and its code; of other products, the name as it is compared."""
    plain = folded(product)
    return _PRODUCT_OF.get(plain) or plain.removeprefix(_CONNECTED_APP)


def are_different_products(name: str, code: str) -> bool:
    """Whether a product's name certainly does not mean the product with this code of Microsoft's."""
    if not folded(name) or not folded(code) or product_key(name) == product_key(code):
        return False
    is_named = {folded(name), folded(code)} <= _PRODUCT_OF.keys()
    return is_named or folded(code).startswith(_CONNECTED_APP)
